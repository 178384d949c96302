"""Ends and renews leases, whoever owns them: the owner's process does it, whoever is asked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from broker_core.adapter import Settlement, Verb
from fair_rabbitmq.consuming import Consumers
from fair_rabbitmq.journal.stream import Journal
from fair_rabbitmq.peers import Peers, Request
from fair_rabbitmq.receipts import Claim, claims_of
from fair_rabbitmq.settling import Settler


class Forwarder:
    """Lets the settler do what concerns this dispatcher's leases, and the other dispatchers what theirs."""

    def __init__(self, journal: Journal, consumers: Consumers, settler: Settler, peers: Peers) -> None:
        self._journal = journal
        self._consumers = consumers
        self._settler = settler
        self._peers = peers
        peers.handle("settle", self._settle_for_peer)
        peers.handle("extend", self._extend_for_peer)

    async def settle(self, receipts: Sequence[str], settlement: Settlement) -> list[str]:
        """End leases and return the receipts whose lease was lost."""
        claims = claims_of(receipts)
        await self._consumers.open()
        mine, others = self._by_owner(claims)
        lost = await self._settler.settle(mine, settlement) if mine else []
        for dispatcher, theirs in others.items():
            lost += await self._pass_on(dispatcher, theirs, settlement)
        return lost

    async def extend(self, receipts: Sequence[str], seconds: float) -> list[datetime | None]:
        """Renew leases and return their ends, None where lost."""
        claims = claims_of(receipts)
        await self._consumers.open()
        mine, others = self._by_owner(claims)
        ends: dict[str, datetime | None] = self._settler.extend(mine, seconds)
        for dispatcher, theirs in others.items():
            answer = await self._peers.request(
                dispatcher, "extend", {"receipts": [one.receipt for one in theirs], "seconds": seconds}
            )
            told = answer.get("ends", {}) if answer is not None else {}
            for claim in theirs:
                ms = told.get(claim.receipt)
                ends[claim.receipt] = None if ms is None else datetime.fromtimestamp(ms / 1000, UTC)
        return [ends[receipt] for receipt in receipts]

    def _by_owner(self, claims: Sequence[Claim]) -> tuple[list[Claim], dict[str, list[Claim]]]:
        mine: list[Claim] = []
        others: dict[str, list[Claim]] = {}
        for claim in claims:
            if claim.dispatcher == self._journal.dispatcher:
                mine.append(claim)
            else:
                others.setdefault(claim.dispatcher, []).append(claim)
        return mine, others

    async def _pass_on(self, dispatcher: str, claims: Sequence[Claim], settlement: Settlement) -> list[str]:
        answer = await self._peers.request(
            dispatcher,
            "settle",
            {
                "receipts": [claim.receipt for claim in claims],
                "verb": settlement.verb.value,
                "delay": settlement.delay_seconds,
                "reason": settlement.reason,
            },
        )
        if answer is not None:
            return [str(receipt) for receipt in answer["lost"]]
        if settlement.verb is Verb.ACK:
            await self._journal.barrier()
            return [claim.receipt for claim in claims if not self._settler.is_finished(claim)]
        return [claim.receipt for claim in claims]

    async def _settle_for_peer(self, request: Request) -> Request:
        settlement = Settlement(Verb(request["verb"]), float(request["delay"]), str(request["reason"]))
        lost = await self._settler.settle(claims_of(request["receipts"]), settlement)
        await self._journal.barrier()
        return {"lost": lost}

    async def _extend_for_peer(self, request: Request) -> Request:
        ends = self._settler.extend(claims_of(request["receipts"]), float(request["seconds"]))
        return {"ends": {k: None if v is None else v.timestamp() * 1000 for k, v in ends.items()}}
