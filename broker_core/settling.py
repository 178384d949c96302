"""Reports to the broker how deliveries ended: in batches, one call at a time, until it has answered."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial

from broker_core.adapter import Settlement, Verb
from broker_core.dispatcher import FairDispatcher
from broker_core.errors import LeaseLost
from broker_core.outage import Outage

ACK = Settlement(Verb.ACK)
RELEASE = Settlement(Verb.RELEASE)


class Settling:
    """Settles what is added, everything that came together in one call; acks go before anything else.

    `run` is to be running. on_settled is called after each batch. `pending` counts what is not settled yet.
    """

    def __init__(
        self,
        dispatcher: FairDispatcher,
        outage: Outage,
        logger: logging.Logger,
        on_settled: Callable[[], None] = lambda: None,
    ) -> None:
        self._dispatcher = dispatcher
        self._outage = outage
        self._logger = logger
        self._on_settled = on_settled
        self._acks: list[str] = []
        self._others: dict[Settlement, list[str]] = {}
        self._some = asyncio.Event()
        self.pending = 0

    def add(self, settlement: Settlement, receipt: str) -> None:
        """Let the delivery end in this way, as soon as the broker answers."""
        if settlement is ACK:
            self._acks.append(receipt)
        else:
            self._others.setdefault(settlement, []).append(receipt)
        self.pending += 1
        self._some.set()

    async def run(self) -> None:
        """Settle for ever; raises an error with which trying again can't help."""
        while True:
            await self._some.wait()
            settlement, receipts = self._next_batch()
            await self._outage.outlast(partial(self._settle, settlement, receipts))
            self.pending -= len(receipts)
            self._on_settled()

    def _next_batch(self) -> tuple[Settlement, list[str]]:
        if self._acks:
            batch = ACK, self._acks
            self._acks = []
        else:
            settlement = next(iter(self._others))
            batch = settlement, self._others.pop(settlement)
        if not self._acks and not self._others:
            self._some.clear()
        return batch

    async def _settle(self, settlement: Settlement, receipts: list[str]) -> None:
        try:
            match settlement.verb:
                case Verb.ACK:
                    await self._dispatcher.ack(receipts)
                case Verb.NACK:
                    await self._dispatcher.nack(receipts, settlement.delay_seconds, settlement.reason)
                case Verb.RELEASE:
                    await self._dispatcher.release(receipts)
                case Verb.DEAD_LETTER:
                    await self._dispatcher.dead_letter(receipts, settlement.reason)
        except LeaseLost as error:
            self._logger.warning(
                "%d of %d leases had ended before %s: these messages are delivered again or are gone",
                len(error.lost),
                len(receipts),
                settlement.verb.value,
            )
