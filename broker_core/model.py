"""The values of the public interface: what is published, what is handed over, what is counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar, overload

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Message:
    """What a producer gives; checked by `publish`, not here.

    customer: 1–200 characters of UTF-8 without control characters.
    id: the producer's idempotency key; the same (customer, id) within the dedup window is stored once.
    cost: units of the fair share that one hand-over uses, 1 to the setting `max_cost`.
    not_before, expires_at: aware datetimes. priority: 0 is the usual one.
    """

    customer: str
    payload: bytes = field(default=b"", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    id: str | None = None
    cost: int = 1
    not_before: datetime | None = None
    expires_at: datetime | None = None
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Delivery:
    """One hand-over of a message to a consumer, which is its alone until `lease_until` at least.

    id: the broker's, unique in the namespace, the same on every attempt.
    attempt: 1 on the first delivery. published_at, lease_until: aware UTC, by the broker's clock.
    receipt: all that `ack` and the other verbs need, as text; whoever holds it can settle the message.
    """

    message: Message
    id: str
    attempt: int
    published_at: datetime
    lease_until: datetime
    receipt: str = field(repr=False)

    @property
    def customer(self) -> str:
        """The customer whose message this is."""
        return self.message.customer


@dataclass(frozen=True, slots=True)
class CustomerPolicy:
    """How one customer is treated; a field that is None inherits the default of the namespace.

    weight: share among the customers that have messages waiting, 1–1000, default 1.
    paused: True keeps the customer's messages waiting; publishing goes on.
    max_in_flight: most leased messages at a time. rate: cost units a second.
    ordered: hand over one after another. max_backlog, max_backlog_bytes: publishing beyond is refused.
    """

    weight: int | None = None
    max_in_flight: int | None = None
    rate: float | None = None
    paused: bool | None = None
    ordered: bool | None = None
    max_backlog: int | None = None
    max_backlog_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many messages are in each state: every message is in exactly one."""

    ready: int = 0
    leased: int = 0
    delayed: int = 0
    dead: int = 0


@dataclass(frozen=True, slots=True)
class CustomerBacklog:
    """One customer and its backlog."""

    customer: str
    backlog: Backlog


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that is not delivered again, kept for people until it is redriven, purged or too old.

    attempts: deliveries so far. reason: why the last one failed. published_at, died_at: aware UTC.
    For an entry that could not be decoded `message.payload` holds the bytes as they were found.
    """

    id: str
    message: Message
    attempts: int
    reason: str
    published_at: datetime
    died_at: datetime

    @property
    def customer(self) -> str:
        """The customer whose message this is."""
        return self.message.customer


class Page(Sequence[T], Generic[T]):
    """Part of a listing. `cursor` continues it; None when this is the last page.

    What exists during the whole listing appears in it; what comes or goes meanwhile may appear or not.
    """

    __slots__ = ("cursor", "items")

    def __init__(self, items: Sequence[T], cursor: str | None) -> None:
        self.items = list(items)
        self.cursor = cursor

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> list[T]: ...
    def __getitem__(self, index: int | slice) -> T | list[T]:
        return self.items[index]

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)

    def __repr__(self) -> str:
        return f"Page({self.items!r}, cursor={self.cursor!r})"
