"""A message in its customer's queue: what is in the properties, the headers and the body."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from pamqp.commands import Basic

from broker_core import envelope
from broker_core.errors import InvalidArgument
from broker_core.model import DeadLetter, Message
from fair_rabbitmq.dead_letters import Burial
from fair_rabbitmq.parcel import Parcel

# Headers: the customer, the cost, how the message came into the queue (absent: published for the first time).
CUSTOMER, COST, CAME = "c", "w", "k"
RESENT, DUE, REDRIVEN = "resent", "due", "redriven"
PERSISTENT = 2


class Ids:
    """Makes ids of messages: unique, and growing for one publisher. They tell the time of publishing."""

    def __init__(self) -> None:
        self._suffix = "-" + os.urandom(5).hex()
        self._last_ms = 0
        self._count = 0

    def next(self) -> str:
        """Return a fresh id, `<ms>-<count>-<publisher>`."""
        now = int(time.time() * 1000)
        if now > self._last_ms:
            self._last_ms = now
        self._count += 1
        return f"{self._last_ms}-{self._count}{self._suffix}"

    def made(self, message_id: str) -> bool:
        """Tell whether this is one of these ids."""
        return message_id.endswith(self._suffix)


def published_at(message_id: str) -> datetime:
    """Return the time of publishing that an id tells; 1970 for what is no id."""
    head = message_id.partition("-")[0]
    ms = int(head) if head.isdecimal() and len(head) < 15 else 0
    return datetime.fromtimestamp(ms / 1000, UTC)


def place_of(message_id: str) -> tuple[int, int]:
    """Return what ids of one publisher, and roughly of several, are ordered by."""
    ms, _, rest = message_id.partition("-")
    count = rest.partition("-")[0]
    return (int(ms), int(count)) if ms.isdecimal() and count.isdecimal() else (0, 0)


@dataclass(frozen=True, slots=True)
class Stored:
    """What a queue holds of one message. cost 0: it can't be decoded."""

    id: str
    customer: str
    cost: int
    came: str
    body: bytes


def headers_of(message: Message) -> dict[str, str | int]:
    """Return the headers of a message that is published."""
    return {CUSTOMER: message.customer, COST: message.cost}


def properties_of(message_id: str, headers: Mapping[str, str | int]) -> Basic.Properties:
    """Return the properties under which it is stored."""
    return Basic.Properties(message_id=message_id, delivery_mode=PERSISTENT, headers=dict(headers))


def read(properties: Basic.Properties, body: bytes) -> Stored | None:
    """Return what an entry holds, None for one that this adapter hasn't written."""
    headers = properties.headers or {}
    customer, cost, came = headers.get(CUSTOMER), headers.get(COST), headers.get(CAME, "")
    if not (properties.message_id and isinstance(customer, str) and isinstance(cost, int)):
        return None
    return Stored(properties.message_id, customer, cost, came if isinstance(came, str) else "", body)


def parcel_of(stored: Stored) -> Parcel:
    """Pack a message for its way through delays or dead letters."""
    return Parcel(stored.id, stored.customer, stored.body, {COST: stored.cost})


def unpack(parcel: Parcel, came: str) -> tuple[Basic.Properties, bytes]:
    """Return properties and body under which a parcel goes into its customer's queue again."""
    headers = {CUSTOMER: parcel.customer, COST: parcel.headers.get(COST, 1), CAME: came}
    return properties_of(parcel.id, headers), parcel.body


def letter_of(burial: Burial) -> DeadLetter:
    """Show a dead letter to people; the payload of one that can't be decoded is its body."""
    parcel = burial.parcel
    cost = int(parcel.headers.get(COST, 1))
    try:
        message = envelope.decode(parcel.body, parcel.customer, cost or 1)
    except envelope.UndecodableEnvelope:
        message = Message(parcel.customer, parcel.body, cost=1)
    if cost == 0:
        message = Message(parcel.customer, parcel.body, cost=1)
    return DeadLetter(
        parcel.id,
        message,
        burial.attempts,
        burial.reason,
        published_at(parcel.id),
        datetime.fromtimestamp(burial.died_at / 1000, UTC),
    )


def cursor_of(text: str) -> str:
    """Write a cursor of a listing by name."""
    return "after:" + text


def after_cursor(cursor: str | None) -> str:
    """Read it; InvalidArgument for one that `cursor_of` hasn't made."""
    if cursor is None:
        return ""
    if not cursor.startswith("after:") or len(cursor) == len("after:"):
        raise InvalidArgument("cursor must be one that customers() returned")
    return cursor.removeprefix("after:")
