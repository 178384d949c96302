"""The adapter for Redis and the model in memory, given the same commands and compared."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from broker_core.dispatcher import FairDispatcher
from broker_core.errors import BrokerUnavailable, LeaseLost
from broker_core.model import CustomerBacklog, CustomerPolicy, DeadLetter, Delivery, Message
from fair_memory.adapter import MemoryAdapter
from fair_memory.broker import MemoryBroker
from fair_memory.settings import MemorySettings
from fair_redis_streams import keys
from fair_redis_streams.adapter import RedisStreamsAdapter
from fair_redis_streams.connection import AnswerLost
from fair_redis_streams.settings import RedisStreamsSettings

LONG_SECONDS = 600.0
MAX_ATTEMPTS = 3
# Beyond the clock's resolution, so that what ends in a millisecond has ended after it.
_SHORT_SECONDS, _PAUSE_SECONDS = 0.001, 0.003
_MOST_STALE = 30

Brief = tuple[str, bytes, int]


@dataclass(frozen=True, slots=True)
class Held:
    """One hand-over, as each side has it. owner: the place of the dispatcher that received it."""

    real: Delivery
    model: Delivery
    owner: int

    @property
    def customer(self) -> str:
        return self.real.customer


class ModelClock:
    """The model's time, which passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


class Pair:
    """Two sides with some dispatchers each; leases and delays last for ever unless they are made to end."""

    def __init__(self, url: str, namespace: str, quantum: int, consumers: int = 2) -> None:
        shared: dict[str, Any] = {
            "namespace": namespace,
            "quantum": quantum,
            "max_attempts": MAX_ATTEMPTS,
            "lease_seconds": LONG_SECONDS,
        }
        self._real_settings = RedisStreamsSettings.load(url=url, shards=1, **shared)
        self._model_settings = MemorySettings.load(**shared)
        self._server_url = url
        self._clock = ModelClock()
        self._broker = MemoryBroker(self._clock)
        self._ids: dict[str, str] = {}
        self.reals: list[FairDispatcher] = [self._new_real() for _ in range(consumers)]
        self.models: list[FairDispatcher] = [self._new_model() for _ in range(consumers)]
        self.held: list[Held] = []
        self.stale: list[Held] = []

    def _new_real(self, **other: Any) -> FairDispatcher:
        settings = self._real_settings.model_copy(update=other)
        return FairDispatcher(RedisStreamsAdapter(settings), settings)

    def _new_model(self, **other: Any) -> FairDispatcher:
        settings = self._model_settings.model_copy(update=other)
        return FairDispatcher(MemoryAdapter(settings, self._broker), settings)

    async def open(self) -> None:
        for dispatcher in (*self.reals, *self.models):
            await dispatcher.open()

    async def close(self) -> None:
        for dispatcher in (*self.reals, *self.models):
            await dispatcher.close(release=False)

    def outlived(self) -> list[Held]:
        """Return void receipts of messages that are leased again."""
        leased = {one.model.id for one in self.held}
        return [one for one in self.stale if one.model.id in leased]

    # Commands.

    async def publish(self, batch: Sequence[Message]) -> None:
        self._same_ids(await self.reals[0].publish(batch), await self.models[0].publish(batch))

    def _same_ids(self, real: Sequence[str], model: Sequence[str]) -> None:
        for real_id, model_id in zip(real, model, strict=True):
            assert self._ids.setdefault(real_id, model_id) == model_id

    async def receive(self, count: int, who: int) -> list[Held]:
        """Both have to hand over the same messages in the same order, with the same attempts and ids."""
        expected = await self.models[who].receive(count)
        got = await self.reals[who].receive(count)
        # A call does a bounded amount of work, so it may bring fewer than there are.
        while len(got) < len(expected) and (more := await self.reals[who].receive(len(expected) - len(got))):
            got += more
        assert brief(got) == brief(expected)
        self._same_ids([one.id for one in got], [one.id for one in expected])
        fresh = [Held(real, model, who) for real, model in zip(got, expected, strict=True)]
        self.held += fresh
        return fresh

    async def settle(self, verb: str, some: Sequence[Held], who: int, **arguments: Any) -> None:
        """End leases that are held, or try to with receipts that are void: both have to lose the same."""
        lost = []
        for dispatcher, deliveries in (
            (self.reals[who], [one.real for one in some]),
            (self.models[who], [one.model for one in some]),
        ):
            places = {delivery.receipt: place for place, delivery in enumerate(deliveries)}
            try:
                await getattr(dispatcher, verb)(deliveries, **arguments)
            except LeaseLost as error:
                lost.append(sorted(places[receipt] for receipt in error.lost))
            else:
                lost.append([])
        assert lost[0] == lost[1], f"{verb}: lost are {lost[0]}, in the model {lost[1]}"
        if verb != "extend":
            self._forget(some)

    def _forget(self, some: Sequence[Held]) -> None:
        gone = {one.real.receipt for one in some}
        self.held = [one for one in self.held if one.real.receipt not in gone]
        self.stale = [*self.stale, *some][-_MOST_STALE:]

    async def let_leases_end(self, customer: str) -> None:
        """Let the leases of one customer end without anybody's doing.

        Of one only: the order in which several customers come back at the same moment is nobody's promise.
        """
        some = [one for one in self.held if one.customer == customer]
        await self.settle("extend", some, 0, seconds=_SHORT_SECONDS)
        await self._pass_time()
        self._forget(some)

    async def receive_and_die(self) -> None:
        """A consumer with the shortest of leases receives one message and is never heard of again.

        One message only, for the same reason.
        """
        async with (
            self._new_real(lease_seconds=_SHORT_SECONDS) as real,
            self._new_model(lease_seconds=_SHORT_SECONDS) as model,
        ):
            got, expected = await real.receive(1), await model.receive(1)
            assert brief(got) == brief(expected)
            await real.close(release=False)
            await model.close(release=False)
        await self._pass_time()
        self.stale += [Held(ours, theirs, -1) for ours, theirs in zip(got, expected, strict=True)]

    async def delay(self, one: Held, who: int, *, ends: bool) -> None:
        """Give back with a delay, which is over afterwards or lasts for ever."""
        await self.settle("nack", [one], who, delay=_SHORT_SECONDS if ends else LONG_SECONDS, reason="busy")
        await self._pass_time()

    async def _pass_time(self) -> None:
        await asyncio.sleep(_PAUSE_SECONDS)
        self._clock.now += _PAUSE_SECONDS
        await self.compare_totals()  # which lets both notice

    async def crash(self, who: int) -> None:
        """A dispatcher ends without a word; its leases go on."""
        await self.reals[who].close(release=False)
        await self.models[who].close(release=False)
        await self._replace(who)

    async def leave(self, who: int) -> None:
        """A dispatcher ends gracefully: what it holds is given back."""
        await self.reals[who].close()
        await self.models[who].close()
        self._forget([one for one in self.held if one.owner == who])
        await self._replace(who)

    async def _replace(self, who: int) -> None:
        self.reals[who] = await self._new_real().open()
        self.models[who] = await self._new_model().open()
        # Nobody is the owner any more; the receipts are still good.
        self.held = [Held(it.real, it.model, -1) if it.owner == who else it for it in self.held]

    async def lose_an_answer(self, count: int, who: int, *, cancelled: bool) -> None:
        """A receive takes messages, and its caller or its answer is gone: as if it had never been."""
        taken = await self.models[who].receive(count)
        await self.models[who].release(taken)
        real = self.reals[who]
        server = real._adapter._receiver._server  # type: ignore[attr-defined]
        whole = server.run
        receiving = asyncio.ensure_future(real.receive(count))

        async def run(operation: str, *arguments: Any) -> Any:
            answer = await whole(operation, *arguments)
            if operation == "receive":
                if not cancelled:
                    raise AnswerLost("on purpose")
                receiving.cancel()
                await asyncio.sleep(0)
            return answer

        server.run = run
        await asyncio.wait([receiving])
        server.run = whole
        assert receiving.cancelled() or isinstance(receiving.exception(), BrokerUnavailable)
        if revoking := real._adapter._receiver._revoking:  # type: ignore[attr-defined]
            await asyncio.wait(revoking)

    async def cancel_idle_receive(self, who: int, turns: int) -> None:
        """A receive that waits for what doesn't come is cancelled."""
        for dispatcher in (self.reals[who], self.models[who]):
            receiving = asyncio.ensure_future(dispatcher.receive(1, wait=30))
            for _ in range(turns):
                await asyncio.sleep(0)
            receiving.cancel()
            await asyncio.wait([receiving])
            assert receiving.cancelled()

    async def set_policy(self, customer: str, policy: CustomerPolicy | None) -> None:
        await self._both(lambda dispatcher: dispatcher.set_policy(customer, policy))

    async def purge(self, customer: str) -> None:
        await self._both(lambda dispatcher: dispatcher.purge(customer))
        self._forget([one for one in self.held if one.customer == customer])

    async def dead_letters(self, customer: str) -> list[tuple[DeadLetter, DeadLetter]]:
        """List the dead letters of both, which have to be the same; by id, since many die at once."""
        real = await self.reals[0].dead_letters(customer, limit=1000)
        model = {letter.id: letter for letter in await self.models[0].dead_letters(customer, limit=1000)}
        assert sorted(self._ids[letter.id] for letter in real) == sorted(model)
        pairs = [(letter, model[self._ids[letter.id]]) for letter in real]
        for ours, theirs in pairs:
            assert ours.message == theirs.message
            assert (ours.attempts, ours.reason) == (theirs.attempts, theirs.reason)
        return sorted(pairs, key=lambda pair: int(pair[1].id.split("-")[1]))

    async def redrive(self, letter: tuple[DeadLetter, DeadLetter]) -> None:
        real, model = letter
        assert await self.reals[0].redrive(real.customer, [real.id]) == 1
        assert await self.models[0].redrive(model.customer, [model.id]) == 1

    async def purge_dead_letters(self, customer: str) -> None:
        await self._both(lambda dispatcher: dispatcher.purge_dead_letters(customer))

    async def _both(self, call: Callable[[FairDispatcher], Awaitable[object]]) -> None:
        real, model = await call(self.reals[0]), await call(self.models[0])
        assert real == model

    # Comparing.

    async def compare_totals(self) -> None:
        assert await self.reals[0].backlog() == await self.models[0].backlog()

    async def compare_listings(self) -> None:
        """Compare what the listing of customers tells; its order is nobody's promise."""
        real, model = await self.reals[0].customers(1000), await self.models[0].customers(1000)
        assert sorted(real, key=_name) == sorted(model, key=_name)

    async def residue(self) -> list[str]:
        """Name the keys of the namespace that are not documented to stay."""
        tag = keys.tag(self._real_settings.namespace, 0)
        lasting = {f"{tag}:{name}" for name in ("meta", "deficit", "leased", "wake", "void")}
        async with Redis.from_url(self._server_url) as client:
            found = [key.decode() async for key in client.scan_iter(f"{tag}:*", count=1000)]
        return [key for key in found if key not in lasting and not key.startswith(f"{tag}:dedup:")]

    async def compare_customers(self, customers: Sequence[str]) -> None:
        for customer in customers:
            assert await self.reals[0].backlog(customer) == await self.models[0].backlog(customer), customer
            assert await self.reals[0].get_policy(customer) == await self.models[0].get_policy(customer)
            await self.dead_letters(customer)


def _name(one: CustomerBacklog) -> str:
    return one.customer


def brief(deliveries: Sequence[Delivery]) -> list[Brief]:
    """Reduce deliveries to what both sides have in common."""
    return [(one.customer, one.message.payload, one.attempt) for one in deliveries]
