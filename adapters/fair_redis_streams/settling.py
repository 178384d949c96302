"""Ends and renews leases."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from broker_core.adapter import Settlement, Verb
from broker_core.errors import BrokerUnavailable
from fair_redis_streams.connection import Argument
from fair_redis_streams.receipts import Held, by_shard
from fair_redis_streams.server import Server

MOST_ACKS_PER_CALL = 1000
MOST_MOVES_PER_CALL = 200
PAUSES_SECONDS = (0.05, 0.2, 0.5)


class Settler:
    """Ends and renews leases by their receipts."""

    def __init__(self, server: Server, shards: int, max_attempts: int) -> None:
        self._server = server
        self._shards = shards
        self._max_attempts = max_attempts

    async def settle(self, receipts: Sequence[str], settlement: Settlement) -> list[str]:
        """Return the receipts whose lease was lost."""
        lost: list[str] = []
        for shard, held in by_shard(receipts, self._shards).items():
            if settlement.verb is Verb.ACK:
                answers = await self._ack(shard, held)
            else:
                answers = await self._move(shard, held, settlement)
            lost += (
                f"{shard}.{answer[i].decode()}.{answer[i + 1].decode()}"
                for answer in answers
                for i in range(0, len(answer), 2)
            )
        return lost

    async def _ack(self, shard: int, held: Held) -> list[Any]:
        answers = []
        for start in range(0, len(held.refs), MOST_ACKS_PER_CALL):
            part = slice(start, start + MOST_ACKS_PER_CALL)
            arguments = _ack_arguments(held.tokens[part], held.refs[part])
            answers.append(await self._run_idempotent("ack", shard, *arguments))
        return answers

    async def _move(self, shard: int, held: Held, settlement: Settlement) -> list[Any]:
        head: list[Argument] = []
        if settlement.verb is Verb.NACK:
            head = [round(settlement.delay_seconds * 1000), self._max_attempts, settlement.reason]
        elif settlement.verb is Verb.DEAD_LETTER:
            head = [settlement.reason]
        answers = []
        for start in range(0, len(held.refs), MOST_MOVES_PER_CALL):
            part = slice(start, start + MOST_MOVES_PER_CALL)
            answers.append(await self._server.run(settlement.verb.value, shard, *head, *_pairs(held, part)))
        return answers

    async def extend(self, receipts: Sequence[str], seconds: float) -> list[datetime | None]:
        """Return the new end of each lease, None where it was lost."""
        ends: dict[str, datetime | None] = {}
        for shard, held in by_shard(receipts, self._shards).items():
            for start in range(0, len(held.refs), MOST_MOVES_PER_CALL):
                part = slice(start, start + MOST_MOVES_PER_CALL)
                arguments = _pairs(held, part)
                answer = await self._run_idempotent("extend", shard, round(seconds * 1000), *arguments)
                for receipt, end_ms in zip(held.receipts[part], answer, strict=True):
                    ends[receipt] = datetime.fromtimestamp(end_ms / 1000, UTC) if end_ms else None
        return [ends[receipt] for receipt in receipts]

    async def _run_idempotent(self, operation: str, shard: int, *arguments: Argument) -> Any:
        for pause_seconds in PAUSES_SECONDS:
            try:
                return await self._server.run(operation, shard, *arguments)
            except BrokerUnavailable as error:
                if not error.retryable:
                    raise
                await asyncio.sleep(pause_seconds)
        return await self._server.run(operation, shard, *arguments)


def _pairs(held: Held, part: slice) -> list[Argument]:
    return [text for pair in zip(held.tokens[part], held.refs[part], strict=True) for text in pair]


def _customer_of(ref: str) -> str:
    return ref.partition(":")[2]


def _ack_arguments(tokens: Sequence[str], refs: Sequence[str]) -> list[Argument]:
    arguments: list[Argument] = []
    at = 0
    for token, same_token in groupby(tokens):
        size = sum(1 for _ in same_token)
        runs: list[Argument] = []
        run_count = 0
        for customer, run in groupby(refs[at : at + size], key=_customer_of):
            run_refs = list(run)
            runs += (customer, len(run_refs), *run_refs)
            run_count += 1
        arguments += (token, run_count, *runs)
        at += size
    return arguments
