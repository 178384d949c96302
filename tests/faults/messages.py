"""Messages whose every part follows from their key, so that a consumer can tell whether one arrived whole.

A key is `<customer>/<publisher>/<number>`.
"""

from __future__ import annotations

import hashlib

from broker_core.model import Message


def message_of(key: str) -> Message:
    """Make the message: up to 600 bytes of payload, one header, a cost of 1 to 3."""
    digest = hashlib.sha256(key.encode()).digest()
    size_bytes = int.from_bytes(digest[:2]) % 600
    payload = hashlib.shake_128(key.encode()).digest(size_bytes)
    return Message(customer_of(key), payload, {"key": key}, id=key, cost=1 + digest[2] % 3)


def customer_of(key: str) -> str:
    """Return the customer whose message this is."""
    return key.split("/", 1)[0]


def is_intact(message: Message) -> bool:
    """Tell whether the message is exactly the one that belongs to its key."""
    return message.id is not None and message == message_of(message.id)
