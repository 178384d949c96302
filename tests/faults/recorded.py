"""A dispatcher that records every call of it and how it ended for each message."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypeVar

from broker_core.dispatcher import Deliveries, FairDispatcher
from broker_core.errors import DispatcherError, LeaseLost, PublishFailed
from broker_core.model import Delivery, Message
from broker_core.registry import find_adapter
from tests.faults.history import History, Item, Kind
from tests.faults.messages import is_intact

T = TypeVar("T")


class RecordedDispatcher(FairDispatcher):
    """Behaves as its parent. Messages come from `message_of`; foreign ones are recorded by their id."""

    history: History
    actor: str
    _items: dict[str, Item]

    @classmethod
    def to(cls, target: dict[str, Any], history: History, actor: str) -> RecordedDispatcher:
        """Make one from the arguments of open_dispatcher."""
        settings = dict(target)
        adapter = find_adapter(settings.pop("broker"))
        loaded = adapter.settings_type.load(**settings)
        dispatcher = cls(adapter(loaded), loaded)
        dispatcher.history, dispatcher.actor, dispatcher._items = history, actor, {}
        return dispatcher

    async def publish(self, messages: Message | Iterable[Message]) -> list[str]:
        batch = [messages] if isinstance(messages, Message) else list(messages)
        keys = [message.id or "" for message in batch]
        call = self.history.invoke(self.actor, "publish", map(Item, keys))
        try:
            ids = await super().publish(batch)
        except PublishFailed as error:
            self._end(call, "publish", Kind.OK, [Item(keys[at], it) for at, it in error.stored.items()])
            self._end(call, "publish", Kind.FAIL, [Item(keys[at]) for at in error.rejected], repr(error))
            self._end(call, "publish", Kind.UNKNOWN, [Item(keys[at]) for at in error.unknown], repr(error))
            raise
        except DispatcherError as error:
            # One cause for all: nothing was stored.
            self._end(call, "publish", Kind.FAIL, map(Item, keys), repr(error))
            raise
        except BaseException as error:
            self._end(call, "publish", Kind.UNKNOWN, map(Item, keys), repr(error))
            raise
        self._end(call, "publish", Kind.OK, map(Item, keys, ids))
        return ids

    async def receive(self, max_messages: int = 100, wait: float = 0.0) -> list[Delivery]:
        call = self.history.invoke(self.actor, "receive", note=str(max_messages))
        try:
            deliveries = await super().receive(max_messages, wait)
        except BaseException as error:
            self._end(call, "receive", Kind.UNKNOWN, note=repr(error))
            raise
        items = [item_of(delivery) for delivery in deliveries]
        self._items.update((item.receipt, item) for item in items)
        self._end(call, "receive", Kind.OK, items)
        return deliveries

    async def ack(self, deliveries: Deliveries) -> None:
        await self._recorded("ack", deliveries, super().ack(deliveries))

    async def nack(self, deliveries: Deliveries, delay: float = 0.0, reason: str = "") -> None:
        await self._recorded("nack", deliveries, super().nack(deliveries, delay, reason))

    async def release(self, deliveries: Deliveries) -> None:
        await self._recorded("release", deliveries, super().release(deliveries))

    async def dead_letter(self, deliveries: Deliveries, reason: str = "") -> None:
        await self._recorded("dead_letter", deliveries, super().dead_letter(deliveries, reason))

    async def extend(self, deliveries: Deliveries, seconds: float | None = None) -> list[datetime]:
        items = self._items_of(deliveries)
        call = self.history.invoke(self.actor, "extend", items)
        with self._recording(call, "extend", items):
            ends = await super().extend(deliveries, seconds)
        renewed = [
            Item(item.key, item.id, item.attempt, item.receipt, end.timestamp())
            for item, end in zip(items, ends, strict=True)
        ]
        self._end(call, "extend", Kind.OK, renewed)
        return ends

    async def close(self, *, release: bool = True) -> None:
        """Record what is given back as released, as far as it isn't known to be settled."""
        items = [self._items[receipt] for receipt in self._held if receipt in self._items] if release else []
        call = self.history.invoke(self.actor, "release", items, "close")
        await super().close(release=release)
        self._end(call, "release", Kind.UNKNOWN, items, "close")

    async def _recorded(self, verb: str, deliveries: Deliveries, settling: Awaitable[None]) -> None:
        items = self._items_of(deliveries)
        call = self.history.invoke(self.actor, verb, items)
        with self._recording(call, verb, items):
            await settling
        self._end(call, verb, Kind.OK, items)

    @contextmanager
    def _recording(self, call: str, verb: str, items: Sequence[Item]) -> Iterator[None]:
        try:
            yield
        except LeaseLost as error:
            lost = set(error.lost)
            self._end(call, verb, Kind.FAIL, [it for it in items if it.receipt in lost], "lost")
            others = [item for item in items if item.receipt not in lost]
            # The new ends of the others aren't told, so they stay what they were.
            self._end(call, verb, Kind.UNKNOWN if verb == "extend" else Kind.OK, others)
            raise
        except BaseException as error:
            self._end(call, verb, Kind.UNKNOWN, items, repr(error))
            raise

    def _items_of(self, deliveries: Deliveries) -> list[Item]:
        some = [deliveries] if isinstance(deliveries, (Delivery, str)) else list(deliveries)
        receipts = [one if isinstance(one, str) else one.receipt for one in some]
        return [self._items[receipt] for receipt in receipts]

    def _end(self, call: str, verb: str, kind: Kind, items: Iterable[Item] = (), note: str = "") -> None:
        told = tuple(items)
        if told or verb == "receive":
            self.history.end(call, self.actor, verb, kind, told, note)


def item_of(delivery: Delivery) -> Item:
    """Describe a delivery."""
    key = delivery.message.id or f"foreign {delivery.id}"
    return Item(
        key,
        delivery.id,
        delivery.attempt,
        delivery.receipt,
        delivery.lease_until.timestamp(),
        is_intact(delivery.message),
    )
