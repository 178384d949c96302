"""Receipts over HTTP: the dispatcher's, sealed so that nobody can make or alter one.

A sealed receipt is `r1.` and base64url of HMAC-SHA256 (its first 16 bytes) and the dispatcher's receipt.
Every process with the same secret and namespace takes it; nothing about it is kept.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence

_PREFIX = "r1."
_TAG_BYTES = 16
_STANDARD = str.maketrans("-_", "+/")


class NotOurs(ValueError):
    """This text was not sealed with a secret that is known here."""


class Seal:
    """Seals and opens receipts of one namespace. The first secret seals, all are recognised."""

    def __init__(self, secrets: Sequence[bytes], namespace: str) -> None:
        self._keys = [
            hmac.digest(secret, b"fair-dispatcher receipt " + namespace.encode(), hashlib.sha256)
            for secret in secrets
        ]

    def __repr__(self) -> str:
        return "Seal()"

    def close(self, receipt: str) -> str:
        """Return the receipt sealed."""
        data = receipt.encode()
        return _text(_tag(self._keys[0], data) + data)

    def open(self, text: str) -> str:
        """Return the dispatcher's receipt. Raises NotOurs."""
        if not text.startswith(_PREFIX):
            raise NotOurs
        try:
            padded = text[len(_PREFIX) :].translate(_STANDARD) + "=" * (-(len(text) - len(_PREFIX)) % 4)
            sealed = binascii.a2b_base64(padded, strict_mode=True)
        except ValueError:
            raise NotOurs from None
        tag, data = sealed[:_TAG_BYTES], sealed[_TAG_BYTES:]
        # Several texts can stand for the same bytes; only the one that was given out is taken.
        if _text(sealed) != text or not any(hmac.compare_digest(tag, _tag(key, data)) for key in self._keys):
            raise NotOurs
        return data.decode()


def _tag(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "sha256")[:_TAG_BYTES]


def _text(sealed: bytes) -> str:
    return _PREFIX + base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()
