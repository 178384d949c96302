"""Checks arguments before any I/O; what passes here is what adapters may rely on."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import TypeVar

from broker_core.adapter import Capabilities
from broker_core.errors import InvalidArgument, InvalidMessage, Unsupported
from broker_core.model import CustomerPolicy, Delivery, Message
from broker_core.settings import DispatcherSettings

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., object])

MAX_CUSTOMER_CHARACTERS = 200
MAX_MESSAGE_ID_CHARACTERS = 200
MAX_REASON_CHARACTERS = 1000
MAX_WAIT_SECONDS = 3600.0
MAX_DELAY_SECONDS = 365 * 86400.0

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_UNENCODABLE = re.compile(r"[\ud800-\udfff]")


@lru_cache(maxsize=1 << 16)
def _customer_problem(customer: object) -> str | None:
    if not isinstance(customer, str):
        return f"customer must be a str, not {type(customer).__name__}"
    if not 1 <= len(customer) <= MAX_CUSTOMER_CHARACTERS:
        return f"customer must have 1–{MAX_CUSTOMER_CHARACTERS} characters, not {len(customer)}"
    if _CONTROL.search(customer) or _UNENCODABLE.search(customer):
        return f"customer must be text without control characters, not {customer!r}"
    return None


def check_customer(customer: str) -> None:
    """Raise InvalidArgument unless this can be a customer's name."""
    if problem := _hashable_problem(customer):
        raise InvalidArgument(problem)


def _hashable_problem(customer: object) -> str | None:
    try:
        return _customer_problem(customer)
    except TypeError:  # unhashable, so no str
        return f"customer must be a str, not {type(customer).__name__}"


def check_messages(
    messages: Iterable[Message], settings: DispatcherSettings, capabilities: Capabilities
) -> list[Message]:
    """Return the messages as a list, or raise InvalidMessage or Unsupported for the first bad one."""
    checked = _list_of(messages, "messages")
    for index, message in enumerate(checked):
        if type(message) is not Message:
            raise InvalidMessage(f"must be a Message, not {type(message).__name__}", index)
        problem = _hashable_problem(message.customer) or _payload_problem(message, settings)
        if problem is None and (message.headers or type(message.headers) is not dict):
            problem = _headers_problem(message, settings)
        if problem is None and message.id is not None:
            problem = _id_problem(message)
        if problem is not None:
            raise InvalidMessage(problem, index)
        if message.not_before is not None or message.expires_at is not None or message.priority:
            _refuse_unsupported(message, capabilities)
    return checked


def _payload_problem(message: Message, settings: DispatcherSettings) -> str | None:
    payload, cost = message.payload, message.cost
    if type(payload) is not bytes:
        return f"payload must be bytes, not {type(payload).__name__}"
    if len(payload) > settings.max_payload_bytes:
        return (
            f"payload has {len(payload)} bytes, allowed are {settings.max_payload_bytes} (max_payload_bytes)"
        )
    if type(cost) is not int or not 1 <= cost <= settings.max_cost:
        return f"cost must be an int from 1 to {settings.max_cost} (max_cost), not {cost!r}"
    return None


def _headers_problem(message: Message, settings: DispatcherSettings) -> str | None:
    size_bytes = 0
    try:
        for name, value in message.headers.items():
            if not (isinstance(name, str) and isinstance(value, str)):
                return "headers must map str to str"
            size_bytes += len(name.encode()) + len(value.encode())
    except (AttributeError, UnicodeEncodeError) as error:
        return f"headers must map text to text ({error.__class__.__name__})"
    if size_bytes > settings.max_headers_bytes:
        return (
            f"headers have {size_bytes} bytes, allowed are {settings.max_headers_bytes} (max_headers_bytes)"
        )
    return None


def _id_problem(message: Message) -> str | None:
    if not isinstance(message.id, str) or not 1 <= len(message.id) <= MAX_MESSAGE_ID_CHARACTERS:
        return f"id must be None or a str of 1–{MAX_MESSAGE_ID_CHARACTERS} characters"
    if _UNENCODABLE.search(message.id):
        return "id must be encodable as UTF-8"
    return None


def _refuse_unsupported(message: Message, capabilities: Capabilities) -> None:
    for used, kept, name in (
        (message.not_before is not None, capabilities.scheduled, "not_before"),
        (message.expires_at is not None, capabilities.ttl, "expires_at"),
        (message.priority != 0, capabilities.priorities, "priority"),
    ):
        if used and not kept:
            raise Unsupported(f"this adapter does not keep Message.{name}: leave it out")


def check_policy(policy: CustomerPolicy, capabilities: Capabilities) -> None:
    """Raise InvalidArgument for a value out of range, Unsupported for a field that is not kept."""
    if not isinstance(policy, CustomerPolicy):
        raise InvalidArgument(f"policy must be a CustomerPolicy or None, not {type(policy).__name__}")
    for name in CustomerPolicy.__dataclass_fields__:
        value = getattr(policy, name)
        if value is None:
            continue
        if name not in capabilities.policies:
            raise Unsupported(f"this adapter does not keep CustomerPolicy.{name}: leave it out")
        if name in {"paused", "ordered"}:
            if not isinstance(value, bool):
                raise InvalidArgument(f"{name} must be True, False or None, not {value!r}")
        elif name == "weight":
            whole_number("weight", value, 1, 1000)
        elif name == "rate":
            seconds("rate", value, 0.001, 1e9)
        else:
            whole_number(name, value, 1, 1 << 53)


def receipts_of(deliveries: Delivery | str | Iterable[Delivery | str]) -> list[str]:
    """Return the receipts of deliveries or receipts, or of a single one, without repetition."""
    if isinstance(deliveries, (Delivery, str)):
        deliveries = [deliveries]
    receipts: dict[str, None] = {}
    for delivery in _list_of(deliveries, "deliveries"):
        if isinstance(delivery, Delivery):
            receipts[delivery.receipt] = None
        elif isinstance(delivery, str):
            receipts[delivery] = None
        else:
            raise InvalidArgument(f"expected a Delivery or a receipt, not {type(delivery).__name__}")
    return list(receipts)


def ids_of(ids: Sequence[str] | None) -> list[str] | None:
    """Return the ids as a list without repetition, None for all; raise InvalidArgument if one is no str."""
    if ids is None:
        return None
    wanted = _list_of(ids, "ids")
    if isinstance(ids, str) or not all(isinstance(one, str) for one in wanted):
        raise InvalidArgument("ids must be a list of str, or None for all")
    return list(dict.fromkeys(wanted))


def _list_of(values: Iterable[T], name: str) -> list[T]:
    if not isinstance(values, Iterable):
        raise InvalidArgument(f"{name} must be a list, not {type(values).__name__}")
    return list(values)


def whole_number(name: str, value: int, low: int, high: int) -> int:
    """Return the value, or raise InvalidArgument unless it is an int from low to high."""
    if type(value) is not int or not low <= value <= high:
        raise InvalidArgument(f"{name} must be an int from {low} to {high}, not {value!r}")
    return value


def seconds(name: str, value: float, low: float, high: float) -> float:
    """Return the value as a float, or raise InvalidArgument unless it is a number from low to high."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise InvalidArgument(f"{name} must be a number from {low:g} to {high:g}, not {value!r}")
    if not low <= value <= high:
        raise InvalidArgument(f"{name} must be from {low:g} to {high:g}, not {value!r}")
    return float(value)


def handler(value: F) -> F:
    """Return the value, or raise InvalidArgument if a call of it can't return something to await."""
    if not callable(value) or isinstance(value, type):
        raise unfit_handler(repr(value))
    if inspect.isgeneratorfunction(value) or inspect.isasyncgenfunction(value):
        raise unfit_handler(f"the generator {value!r}")
    return value


def unfit_handler(given: str) -> InvalidArgument:
    """Return the error for a handler that can't be awaited; `given` says what it is instead."""
    return InvalidArgument(
        f"handler must be an async function that takes a Delivery, not {given}: write async def, "
        "and call what blocks by asyncio.to_thread"
    )


def reason_text(reason: str) -> str:
    """Return the reason, shortened to what is kept; raise InvalidArgument if it is no text."""
    if not isinstance(reason, str):
        raise InvalidArgument(f"reason must be a str, not {type(reason).__name__}")
    return reason[:MAX_REASON_CHARACTERS].encode("utf-8", "replace").decode()
