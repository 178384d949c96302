"""Makes a message of a line: a JSON object whose fields are those of a message."""

from __future__ import annotations

import base64
import binascii
import codecs
import difflib
import json
from collections.abc import Collection
from typing import Any

from broker_core import Message
from broker_core.adapter import Capabilities
from broker_core.checks import check_messages
from broker_core.errors import DispatcherError, InvalidMessage
from broker_core.settings import DispatcherSettings

FIELDS = ("customer", "payload", "payload_base64", "headers", "id", "cost")

# JSON writes a byte with six at most (\u0000), and needs a little around the fields.
_GROWTH = 6
_AROUND_BYTES = 1 << 16
_NAME_CHARACTERS = 40


class BrokenLine(Exception):
    """The line is no message; the text says what is wrong with it, and quotes no payload."""


class Parser:
    """Makes messages that a dispatcher with these settings takes. Fields of `ignored` may be there too."""

    def __init__(
        self, settings: DispatcherSettings, capabilities: Capabilities, ignored: Collection[str] = ()
    ) -> None:
        self._settings = settings
        self._capabilities = capabilities
        self._ignored = frozenset(ignored)

    @property
    def longest_line_bytes(self) -> int:
        """A longer line can't hold a message that is allowed."""
        return _GROWTH * (self._settings.max_payload_bytes + self._settings.max_headers_bytes) + _AROUND_BYTES

    def parse(self, text: bytes | None) -> Message:
        """Return the line's message, or raise BrokenLine; None stands for a line that was too long."""
        if text is None:
            raise BrokenLine(f"longer than a message can be: more than {self.longest_line_bytes:,} bytes")
        fields = _json_object(text)
        for name in fields:
            if name not in FIELDS and name not in self._ignored:
                raise BrokenLine(f"unknown field {name[:_NAME_CHARACTERS]!r}{_nearest(name)}")
        if fields.get("customer") is None:
            raise BrokenLine("the field customer is missing")
        message = Message(
            customer=fields["customer"],
            payload=_payload(fields),
            headers=_headers(fields.get("headers")),
            id=fields.get("id"),
            cost=1 if fields.get("cost") is None else fields["cost"],
        )
        try:
            check_messages([message], self._settings, self._capabilities)
        except InvalidMessage as error:
            raise BrokenLine(error.reason) from error
        except DispatcherError as error:
            raise BrokenLine(str(error)) from error
        return message


def _json_object(text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text.removeprefix(codecs.BOM_UTF8).decode())
    except UnicodeDecodeError as error:
        raise BrokenLine(f"not UTF-8 at byte {error.start + 1}") from error
    except json.JSONDecodeError as error:
        raise BrokenLine(f"not JSON: {error.msg} at character {error.pos + 1}") from error
    except (ValueError, RecursionError) as error:  # what Python's own limits refuse
        raise BrokenLine("not JSON for us: a number too long, or nested too deeply") from error
    if not isinstance(found, dict):
        raise BrokenLine(f"a JSON object is needed, not {_kind(found)}")
    return found


def _payload(fields: dict[str, Any]) -> bytes:
    text, encoded = fields.get("payload"), fields.get("payload_base64")
    if (text is None) == (encoded is None):
        raise BrokenLine("one of the fields payload and payload_base64 is needed, and not both")
    name, value = ("payload", text) if encoded is None else ("payload_base64", encoded)
    if not isinstance(value, str):
        raise BrokenLine(f"{name} must be a string, not {_kind(value)}")
    try:
        return value.encode() if encoded is None else base64.b64decode(value, validate=True)
    except UnicodeEncodeError as error:
        raise BrokenLine(
            f"payload is no text: half a surrogate pair at character {error.start + 1}"
        ) from error
    except (binascii.Error, ValueError) as error:
        raise BrokenLine(f"payload_base64 is not base64: {error}") from error


def _headers(value: Any) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BrokenLine(f"headers must be an object, not {_kind(value)}")
    for name, text in value.items():
        if not isinstance(text, str):
            raise BrokenLine(f"the header {name[:_NAME_CHARACTERS]!r} must be a string, not {_kind(text)}")
    return value


def _kind(value: object) -> str:
    if value is None:
        return "null"
    kinds = {bool: "true or false", int: "a number", float: "a number", str: "a string", list: "an array"}
    return kinds.get(type(value), "an object")


def _nearest(name: str) -> str:
    close = difflib.get_close_matches(name, FIELDS, n=1)
    return f"; did you mean {close[0]}?" if close else f" (known are {', '.join(FIELDS)}; see --ignore)"
