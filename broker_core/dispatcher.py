"""What callers hold: checks arguments, owns the closed state, keeps track of leases, delegates the rest."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self

from broker_core import checks
from broker_core.adapter import BrokerAdapter, Capabilities, Settlement, Verb
from broker_core.errors import Closed, DispatcherError, LeaseLost
from broker_core.model import Backlog, CustomerBacklog, CustomerPolicy, DeadLetter, Delivery, Message, Page
from broker_core.publish_outcomes import publish_error
from broker_core.settings import DispatcherSettings

Deliveries = Delivery | str | Iterable[Delivery | str]

_FEWEST_HELD = 10_000
_RELEASE_TIMEOUT_SECONDS = 0.5
_VERB_TIMEOUT_SECONDS = 0.5


class FairDispatcher:
    """One namespace of messages, divided fairly among customers; delivered at least once.

    Every verb raises Closed before `open` and after `close`, InvalidArgument for a value out of range
    (before any I/O), BrokerUnavailable when the broker doesn't answer. All verbs may run concurrently
    in one event loop. The verbs on deliveries take deliveries or receipts, one or many.
    """

    def __init__(self, adapter: BrokerAdapter, settings: DispatcherSettings) -> None:
        self._adapter = adapter
        self._settings = settings
        self._opening: asyncio.Future[None] | None = None
        self._open = False
        self._closing: asyncio.Task[None] | None = None
        self._receives: set[asyncio.Task[Any]] = set()
        self._releases: set[asyncio.Task[Any]] = set()
        # Receipt → end of the lease as far as we know; kept to give back what is held when closing.
        self._held: dict[str, datetime] = {}
        self._settling = 0
        self._settled = asyncio.Event()
        self._most_held = _FEWEST_HELD
        self.counts: Counter[str] = Counter()

    @property
    def capabilities(self) -> Capabilities:
        """What this adapter keeps, declared as data."""
        return self._adapter.capabilities

    @property
    def settings(self) -> DispatcherSettings:
        """The settings in force."""
        return self._settings

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def open(self) -> Self:
        """Connect; returns self. Raises BrokerUnavailable or ConfigurationError, Closed when used twice."""
        if self._opening is not None or self._closing is not None:
            raise Closed("a dispatcher is opened once; make a new one with open_dispatcher()")
        self._opening = asyncio.ensure_future(self._adapter.open())
        try:
            await self._opening
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._closing is None or (task and task.cancelling()):
                raise
        if self._closing is not None:
            raise Closed("the dispatcher was closed during open")
        self._open = True
        return self

    async def close(self, *, release: bool = True) -> None:
        """End blocked receives, give back what is still leased (unless release is False), disconnect.

        Idempotent, from several tasks too; takes two seconds at most and raises nothing.
        """
        self._open = False
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close(release))
        await asyncio.shield(self._closing)

    async def _close(self, release: bool) -> None:
        ending: set[asyncio.Future[Any]] = {*self._receives, *self._releases}
        if self._opening is not None and not self._opening.done():
            self._opening.cancel()
            ending.add(self._opening)
        for receive in self._receives:
            receive.cancel()
        if ending:
            await asyncio.wait(ending, timeout=_RELEASE_TIMEOUT_SECONDS)
        await self._let_verbs_end()
        try:
            if release and self._held:
                await self._release_quietly(list(self._held))
        finally:
            await self._adapter.close()

    async def _let_verbs_end(self) -> None:
        # Giving back what an ack is under way for would make the ack fail, and the message come again.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_VERB_TIMEOUT_SECONDS):
                while self._settling:
                    self._settled.clear()
                    await self._settled.wait()

    async def publish(self, messages: Message | Iterable[Message]) -> list[str]:
        """Store the messages and return their ids in order; they are then as durable as the broker is set up.

        Checked first, all or nothing: InvalidMessage names the bad one. Then atomic per server call, not
        over several: one cause for all is raised as itself (BrokerFull, BacklogFull, BrokerUnavailable),
        anything mixed or unknown as PublishFailed. Never stores twice by itself; to make the caller's
        retry safe too, set Message.id.
        """
        self._check_open()
        batch = checks.check_messages(
            [messages] if isinstance(messages, Message) else messages, self._settings, self.capabilities
        )
        if not batch:
            return []
        outcomes = await self._adapter.publish(batch)
        ids = [outcome for outcome in outcomes if type(outcome) is str]
        self.counts["published"] += len(ids)
        if len(ids) == len(outcomes):
            return ids
        raise publish_error(outcomes)

    async def receive(self, max_messages: int = 100, wait: float = 0.0) -> list[Delivery]:
        """Lease up to max_messages (1–10,000), divided fairly among the customers that have some ready.

        Returns as soon as there is something, though fewer than asked for may come; [] when there is
        nothing for `wait` seconds (0–3600). Cancelling it loses nothing and costs no attempt.
        """
        self._check_open()
        checks.whole_number("max_messages", max_messages, 1, 10_000)
        wait = checks.seconds("wait", wait, 0, checks.MAX_WAIT_SECONDS)
        receive = asyncio.ensure_future(self._receive_and_hold(max_messages, wait))
        self._receives.add(receive)
        receive.add_done_callback(self._receives.discard)
        try:
            deliveries = await receive
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._closing is not None and not (task and task.cancelling()):
                raise Closed("the dispatcher was closed during receive") from None
            if receive.done() and not receive.cancelled() and receive.exception() is None:
                self._give_back(receive.result())
            raise
        if not self._open:  # `close` gives back what this receive got
            raise Closed("the dispatcher was closed during receive")
        return deliveries

    def _give_back(self, deliveries: Sequence[Delivery]) -> None:
        if not deliveries:
            return
        release = asyncio.ensure_future(self._release_quietly([delivery.receipt for delivery in deliveries]))
        self._releases.add(release)
        release.add_done_callback(self._releases.discard)

    async def _release_quietly(self, receipts: Sequence[str]) -> None:
        try:
            async with asyncio.timeout(_RELEASE_TIMEOUT_SECONDS):
                await self._adapter.settle(receipts, Settlement(Verb.RELEASE))
        except (DispatcherError, TimeoutError):
            return  # the leases end by themselves
        for receipt in receipts:
            self._held.pop(receipt, None)

    async def _receive_and_hold(self, max_messages: int, wait: float) -> list[Delivery]:
        deliveries = await self._adapter.receive(max_messages, wait)
        held = self._held
        for delivery in deliveries:
            held[delivery.receipt] = delivery.lease_until
        self.counts["received"] += len(deliveries)
        self._forget_expired()
        return deliveries

    async def ack(self, deliveries: Deliveries) -> None:
        """Processed: the messages leave the broker. Succeeds for one that no longer exists.

        Raises LeaseLost, with the lost ones, for messages that went on to another consumer;
        the others are acked. The same holds for nack, release, dead_letter and extend,
        which also report a message that no longer exists as lost.
        """
        await self._settle(deliveries, Settlement(Verb.ACK))

    async def nack(self, deliveries: Deliveries, delay: float = 0.0, reason: str = "") -> None:
        """Not processed: deliver again with attempt + 1, not before `delay` seconds (0 to a year).

        After the last attempt the message becomes a dead letter with this reason instead.
        """
        delay = checks.seconds("delay", delay, 0, checks.MAX_DELAY_SECONDS)
        await self._settle(deliveries, Settlement(Verb.NACK, delay, checks.reason_text(reason)))

    async def release(self, deliveries: Deliveries) -> None:
        """Give back unprocessed: ready at the old place, the attempt not counted."""
        await self._settle(deliveries, Settlement(Verb.RELEASE))

    async def dead_letter(self, deliveries: Deliveries, reason: str = "") -> None:
        """Never deliver again; keep the message for people, with this reason."""
        await self._settle(deliveries, Settlement(Verb.DEAD_LETTER, 0.0, checks.reason_text(reason)))

    async def _settle(self, deliveries: Deliveries, settlement: Settlement) -> None:
        self._check_open()
        receipts = checks.receipts_of(deliveries)
        if not receipts:
            return
        held = self._held
        ending = {receipt: held.pop(receipt) for receipt in receipts if receipt in held}
        self._settling += 1
        try:
            lost = await self._adapter.settle(receipts, settlement)
        except BaseException:
            held.update(ending)  # it may still be ours, so closing gives it back
            raise
        finally:
            self._settling -= 1
            self._settled.set()
        self.counts[settlement.verb.value] += len(receipts) - len(lost)
        if lost:
            self.counts["lost"] += len(lost)
            raise LeaseLost(lost)

    async def extend(self, deliveries: Deliveries, seconds: float | None = None) -> list[datetime]:
        """Renew the leases to end in `seconds` (None: lease_seconds) and return their ends, in order."""
        self._check_open()
        length = self._settings.lease_seconds if seconds is None else seconds
        length = checks.seconds("seconds", length, 0.001, 86400)
        receipts = checks.receipts_of(deliveries)
        if not receipts:
            return []
        ends = await self._adapter.extend(receipts, length)
        kept: list[datetime] = []
        lost: list[str] = []
        for receipt, end in zip(receipts, ends, strict=True):
            if end is None:
                self._held.pop(receipt, None)
                lost.append(receipt)
            else:
                kept.append(end)
                if receipt in self._held:
                    self._held[receipt] = end
        if lost:
            self.counts["lost"] += len(lost)
            raise LeaseLost(lost)
        return kept

    async def set_policy(self, customer: str, policy: CustomerPolicy | None) -> None:
        """Replace the customer's policy for all dispatchers of the namespace; None removes it.

        Raises Unsupported for a field that this adapter doesn't keep; nothing is changed then.
        """
        self._check_open()
        checks.check_customer(customer)
        if policy is not None:
            checks.check_policy(policy, self.capabilities)
        await self._adapter.set_policy(customer, policy)

    async def get_policy(self, customer: str) -> CustomerPolicy | None:
        """Return the record that set_policy stored, None if there is none."""
        self._check_open()
        checks.check_customer(customer)
        return (await self._adapter.inspect(customer))[1]

    async def backlog(self, customer: str | None = None) -> Backlog:
        """Count messages by state, of the namespace or of one customer (zeros for an unknown one)."""
        self._check_open()
        if customer is not None:
            checks.check_customer(customer)
        return (await self._adapter.inspect(customer))[0]

    async def customers(self, limit: int = 100, cursor: str | None = None) -> Page[CustomerBacklog]:
        """List customers that have a message in any state or a policy, with their backlogs.

        limit: 1–1000. Pass the page's cursor to go on.
        """
        self._check_open()
        return await self._adapter.customers(checks.whole_number("limit", limit, 1, 1000), cursor)

    async def dead_letters(
        self, customer: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[DeadLetter]:
        """List dead letters of one customer or of all, the oldest death first. limit: 1–1000."""
        self._check_open()
        if customer is not None:
            checks.check_customer(customer)
        return await self._adapter.dead_letters(
            customer, checks.whole_number("limit", limit, 1, 1000), cursor
        )

    async def redrive(self, customer: str, ids: Sequence[str] | None = None) -> int:
        """Make dead letters ready again, at the tail with the same id and attempt 1; return how many.

        ids None means all of the customer. They are exempt from dedup and from max_backlog.
        """
        return await self._end_dead_letters(customer, ids, redrive=True)

    async def purge_dead_letters(self, customer: str, ids: Sequence[str] | None = None) -> int:
        """Remove dead letters for good; return how many. ids None means all of the customer."""
        return await self._end_dead_letters(customer, ids, redrive=False)

    async def _end_dead_letters(self, customer: str, ids: Sequence[str] | None, *, redrive: bool) -> int:
        self._check_open()
        checks.check_customer(customer)
        wanted = checks.ids_of(ids)
        if wanted == []:
            return 0
        return await self._adapter.end_dead_letters(customer, wanted, redrive=redrive)

    async def purge(self, customer: str) -> int:
        """Remove the customer's ready, delayed and leased messages, void their receipts; return how many."""
        self._check_open()
        checks.check_customer(customer)
        return await self._adapter.purge(customer)

    def _check_open(self) -> None:
        if not self._open:
            raise Closed("the dispatcher is not open: use `async with open_dispatcher(…)` or await open()")

    def _forget_expired(self) -> None:
        # Leases that nobody settled end by themselves. A minute of grace covers clocks that differ.
        # Looking at all of them each time they have doubled costs a constant for each.
        if len(self._held) < self._most_held:
            return
        horizon = datetime.now(UTC) - timedelta(minutes=1)
        self._held = {receipt: end for receipt, end in self._held.items() if end >= horizon}
        self._most_held = max(_FEWEST_HELD, 2 * len(self._held))
