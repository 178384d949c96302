"""Tells the journal of this dispatcher's leases: at once, or when the broker takes messages again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Protocol

from broker_core.errors import BrokerUnavailable
from fair_rabbitmq.alarm import Alarm, full
from fair_rabbitmq.journal.appender import Appender
from fair_rabbitmq.journal.events import (
    Alive,
    Ended,
    Event,
    Extended,
    Gone,
    HandedOver,
    Lease,
    Released,
    Returned,
)
from fair_rabbitmq.journal.keeping import Keeper
from fair_rabbitmq.journal.replica import Replica, State

log = logging.getLogger(__name__)


class _Journal(Protocol):
    @property
    def dispatcher(self) -> str: ...

    @property
    def replica(self) -> Replica: ...

    def append_soon(self, *events: Event) -> None: ...

    async def until_stored(self, stored: asyncio.Future[int]) -> int | None: ...


class Leasing:
    """Under an alarm leases go on: the broker keeps what is handed over from others by itself.

    Until it is over nobody else knows of them, so that attempts are lost if this process dies meanwhile.
    """

    def __init__(self, journal: _Journal, appender: Appender, alarm: Alarm) -> None:
        self._journal, self._appender, self._alarm = journal, appender, alarm
        self._keeper = Keeper()

    def attempts(self, message_id: str) -> int:
        """Tell how often a message was handed over so far, 0 if unknown; see Replica.attempts."""
        return max(self._journal.replica.attempts(message_id), self._keeper.attempts(message_id))

    def kept_leases(self, customer: str | None) -> int:
        """Count leases of this dispatcher that the replica doesn't hold yet because of an alarm."""
        return self._keeper.count(customer)

    async def hand_over(self, leases: Sequence[Lease], attempts: Mapping[str, int]) -> None:
        """Tell of leases; attempts: of their messages, by id, these included.

        Returns when it is stored, or kept until an alarm is over. After an error nobody leases them.
        """
        if self._alarm.is_on:
            self._keeper.add(leases, attempts)
            return
        stored = self._appender.put([HandedOver(tuple(leases))])
        try:
            if await self._journal.until_stored(stored) is None:
                self._keeper.note(attempts)
        except BrokerUnavailable:
            self._journal.append_soon(Released(tuple(lease.id for lease in leases)))
            raise

    def end(self, ids: Sequence[str]) -> None:
        """Tell, without waiting, that messages were processed."""
        told: list[Event] = []
        rest: list[str] = []
        for message_id in ids:
            lease = self._keeper.pop(message_id)
            if lease is not None and self._journal.replica.state(message_id) is State.UNKNOWN:
                self._keeper.end(message_id)
                continue
            if lease is not None:
                told.append(HandedOver((lease,)))
            rest.append(message_id)
        self._keeper.forget_attempts(rest)
        if rest:
            self._journal.append_soon(*told, Ended(tuple(rest)))

    async def give_back(self, ids: Sequence[str], *, counted: bool) -> None:
        """Tell that messages are ready again, their hand-over counted as an attempt or not.

        Under an alarm one that counts can't be told to other dispatchers: BrokerFull if there are any,
        and nothing is changed.
        """
        kept = [message_id for message_id in ids if message_id in self._keeper]
        if counted and kept and not self._is_alone():
            raise full()
        rest = [message_id for message_id in ids if message_id not in self._keeper]
        events: list[Event] = []
        attempts = {message_id: self._keeper.attempts(message_id) for message_id in kept}
        leases = [lease for message_id in kept if (lease := self._keeper.pop(message_id)) is not None]
        if counted and leases:
            events.append(HandedOver(tuple(leases)))
            rest += kept
            self._keeper.note(attempts)
        if not counted:
            self._keeper.forget_attempts(rest)
        if rest:
            events.append(Returned(tuple(rest)) if counted else Released(tuple(rest)))
            await self._journal.until_stored(self._appender.put(events))

    def release_soon(self, ids: Sequence[str]) -> None:
        """Tell, without waiting, that messages are ready again as if they hadn't been handed over."""
        rest = [message_id for message_id in ids if self._keeper.pop(message_id) is None]
        if rest:
            self._journal.append_soon(Released(tuple(rest)))

    def extend(self, leases: Sequence[Lease]) -> None:
        """Tell, without waiting, later ends of leases; under an alarm others don't hear of it."""
        if self._alarm.is_on:
            self._keeper.extend(leases)
        else:
            self._journal.append_soon(Extended(tuple(leases)))

    def lose_leases(self) -> None:
        """Tell, without waiting, that the broker has taken back all that this dispatcher leased."""
        events, _ = self._keeper.take()
        # What goes to others isn't told late: they may have gone on with it by then.
        if events and self._is_alone():
            self._journal.append_soon(*events)
        self._journal.append_soon(Gone(self._journal.dispatcher))

    def _is_alone(self) -> bool:
        return all(name == self._journal.dispatcher for name in self._journal.replica.writers.live())

    def tell_kept(self) -> None:
        """Tell, without waiting, what was kept; to be called when an alarm is over."""
        events, ids = self._keeper.take()
        if not events and not ids:
            return
        try:
            stored = [self._appender.put([event]) for event in events or [Alive()]]
        except BrokerUnavailable:
            log.warning("the journal isn't told of %d leases: too much waits for the broker", len(ids))
            return
        stored[-1].add_done_callback(lambda _: self._keeper.forget_attempts(ids))
