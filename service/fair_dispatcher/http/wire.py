"""The bodies of requests and answers; also the source of the schemas in the OpenAPI document."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from broker_core import DeadLetter, Delivery, Message

MOST_MESSAGES = 1000
MOST_RECEIPTS = 1000
MOST_WAIT_SECONDS = 30.0
MOST_DELAY_SECONDS = 365 * 86400

CustomerName = Annotated[str, Meta(min_length=1, max_length=200, examples=["acme"])]
IdempotencyKey = Annotated[str, Meta(min_length=1, max_length=200)]
Cost = Annotated[int, Meta(ge=1, le=1_000_000)]
Receipts = Annotated[
    list[Annotated[str, Meta(min_length=1, max_length=1500)]], Meta(max_length=MOST_RECEIPTS)
]
Reason = Annotated[str, Meta(max_length=1000)]
_BASE64 = "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"
Base64 = Annotated[str, Meta(extra_json_schema={"contentEncoding": "base64", "pattern": _BASE64})]


class MessageBody(Struct, forbid_unknown_fields=True):
    """A message to publish: its payload as text or, for bytes that aren't UTF-8, in base64."""

    payload: str | UnsetType = UNSET
    payload_base64: Base64 | UnsetType = UNSET
    headers: dict[str, str] = {}
    cost: Cost = 1


class MessageLine(MessageBody, forbid_unknown_fields=True, kw_only=True):
    """One line of a batch: a message, whose it is, and its idempotency key."""

    customer: CustomerName
    idempotency_key: IdempotencyKey | None = None


class Published(Struct):
    """A message is stored under this id."""

    id: str


class PublishedLine(Struct, omit_defaults=True):
    """What became of the line with this number, counted from 1: its message's id, or the problem."""

    line: int
    id: str | None = None
    problem: dict[str, Any] | None = None


class ReceiveBody(Struct, forbid_unknown_fields=True):
    """How many messages to take at most, and for how many seconds to wait for the first."""

    max_messages: Annotated[int, Meta(ge=1, le=MOST_MESSAGES)] = 100
    wait: Annotated[float, Meta(ge=0, le=MOST_WAIT_SECONDS)] = 0.0


class DeliveryBody(Struct, omit_defaults=True):
    """A message handed over: it is the caller's until lease_until."""

    receipt: str
    id: str
    customer: str
    attempt: int
    published_at: datetime
    lease_until: datetime
    payload: str | None = None
    payload_base64: str | None = None
    headers: dict[str, str] = {}
    cost: int = 1


class Deliveries(Struct):
    """What was handed over; empty when nothing came in time."""

    deliveries: list[DeliveryBody]


class AckBody(Struct, forbid_unknown_fields=True):
    """Receipts of messages that were processed, or that are given back untouched."""

    receipts: Receipts


class NackBody(Struct, forbid_unknown_fields=True):
    """Receipts of messages to deliver again, in how many seconds, and why."""

    receipts: Receipts
    delay: Annotated[float, Meta(ge=0, le=MOST_DELAY_SECONDS)] = 0.0
    reason: Reason = ""


class DeadLetterBody(Struct, forbid_unknown_fields=True):
    """Receipts of messages never to deliver again, and why."""

    receipts: Receipts
    reason: Reason = ""


class ExtendBody(Struct, forbid_unknown_fields=True):
    """Receipts whose leases are to end in so many seconds; null: as long as a new lease."""

    receipts: Receipts
    seconds: Annotated[float, Meta(ge=0.001, le=86400)] | None = None


class Settled(Struct):
    """Each receipt is either done, or lost: then its message went on to another consumer or is gone."""

    done: list[str]
    lost: list[str]


class Renewed(Struct):
    """A lease and its new end."""

    receipt: str
    lease_until: datetime


class Extended(Struct):
    """Each receipt is either renewed, or lost."""

    done: list[Renewed]
    lost: list[str]


class BacklogBody(Struct):
    """How many messages are in each state."""

    ready: int
    leased: int
    delayed: int
    dead: int


class PolicyBody(Struct, forbid_unknown_fields=True):
    """How a customer is treated; what is null or left out is as the namespace has it."""

    weight: Annotated[int, Meta(ge=1, le=1000)] | None = None
    max_in_flight: Annotated[int, Meta(ge=1, le=1 << 53)] | None = None
    rate: Annotated[float, Meta(ge=0.001, le=1e9)] | None = None
    paused: bool | None = None
    ordered: bool | None = None
    max_backlog: Annotated[int, Meta(ge=1, le=1 << 53)] | None = None
    max_backlog_bytes: Annotated[int, Meta(ge=1, le=1 << 53)] | None = None


class CustomerBody(Struct):
    """A customer: its messages by state, and its policy if it has one. All zeros for one without any."""

    customer: str
    backlog: BacklogBody
    policy: PolicyBody | None


class CustomerEntry(Struct):
    """A customer in a listing."""

    customer: str
    backlog: BacklogBody


class Customers(Struct):
    """Part of the listing of customers that have a message or a policy; null as cursor: the last part."""

    customers: list[CustomerEntry]
    cursor: str | None


class DeadLetterEntry(Struct, omit_defaults=True):
    """A message that isn't delivered again."""

    id: str
    customer: str
    attempts: int
    reason: str
    published_at: datetime
    died_at: datetime
    payload: str | None = None
    payload_base64: str | None = None
    headers: dict[str, str] = {}


class DeadLetters(Struct):
    """Part of the listing of dead letters, the oldest death first; null as cursor: the last part."""

    dead_letters: list[DeadLetterEntry]
    cursor: str | None


class IdsBody(Struct, forbid_unknown_fields=True):
    """Which dead letters; null or left out: all of the customer."""

    ids: Annotated[list[Annotated[str, Meta(max_length=200)]], Meta(max_length=MOST_RECEIPTS)] | None = None


class PurgeBody(Struct, forbid_unknown_fields=True):
    """What to remove: messages (ready, delayed, leased), or dead letters, all or those with these ids."""

    what: Annotated[str, Meta(pattern="^(messages|dead_letters)$")] = "messages"
    ids: Annotated[list[Annotated[str, Meta(max_length=200)]], Meta(max_length=MOST_RECEIPTS)] | None = None


class Counted(Struct):
    """How many messages it was."""

    count: int


class Health(Struct):
    """Whether it can do its work: each part is ok, a problem's name, timed-out, nothing-came or ending."""

    status: str
    publish: str = "ok"
    receive: str = "ok"


encode = msgspec.json.Encoder().encode
encode_lines = msgspec.json.Encoder().encode_lines


class Unreadable(ValueError):
    """The payload isn't given in one way that can be read."""


def payload_of(body: MessageBody) -> bytes:
    """Return the payload's bytes. Raises Unreadable."""
    text, coded = body.payload, body.payload_base64
    if text is not UNSET:
        if coded is not UNSET:
            raise Unreadable("payload and payload_base64 exclude each other")
        return text.encode()
    if coded is UNSET:
        raise Unreadable("payload or payload_base64 is missing")
    try:
        return base64.b64decode(coded, validate=True)
    except (binascii.Error, ValueError):
        raise Unreadable("payload_base64 is no base64") from None


def delivery_body(delivery: Delivery, receipt: str) -> DeliveryBody:
    """Return a delivery as it is answered, with a sealed receipt."""
    message = delivery.message
    text, coded = _payload_fields(message)
    return DeliveryBody(
        receipt,
        delivery.id,
        message.customer,
        delivery.attempt,
        delivery.published_at,
        delivery.lease_until,
        text,
        coded,
        dict(message.headers),
        message.cost,
    )


def dead_letter_entry(letter: DeadLetter) -> DeadLetterEntry:
    """Return a dead letter as it is answered."""
    text, coded = _payload_fields(letter.message)
    return DeadLetterEntry(
        letter.id,
        letter.customer,
        letter.attempts,
        letter.reason,
        letter.published_at,
        letter.died_at,
        text,
        coded,
        dict(letter.message.headers),
    )


def _payload_fields(message: Message) -> tuple[str | None, str | None]:
    try:
        return message.payload.decode(), None
    except UnicodeDecodeError:
        return None, base64.b64encode(message.payload).decode()
