"""Publishes batches: split into server calls, each atomic, none sent twice unless that is harmless."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from broker_core import envelope
from broker_core.adapter import OutcomeUnknown
from broker_core.errors import BrokerUnavailable, DispatcherError
from broker_core.model import Message
from fair_redis_streams.connection import AnswerLost, Argument, NotSent
from fair_redis_streams.errors import HalfWay
from fair_redis_streams.server import Server
from fair_redis_streams.shards import shard_of

MOST_MESSAGES_PER_CALL = 500
MOST_BYTES_PER_CALL = 4 << 20
PAUSES_SECONDS = (0.1, 0.3)

Outcome = str | DispatcherError
Entry = tuple[int, Message, bytes]


class Publisher:
    """Stores messages in the shards of their customers."""

    def __init__(self, server: Server, shards: int, dedup_window_seconds: float) -> None:
        self._server = server
        self._shards = shards
        self._half_window_ms = -(-int(dedup_window_seconds * 1000) // 2)

    async def publish(self, messages: Sequence[Message]) -> list[Outcome]:
        """Return an id or an error for each message; a customer's messages are stored in their order."""
        outcomes: list[Outcome] = [""] * len(messages)
        by_shard: dict[int, list[Entry]] = {}
        for index, message in enumerate(messages):
            shard = shard_of(message.customer, self._shards)
            by_shard.setdefault(shard, []).append((index, message, envelope.encode(message)))
        if len(by_shard) == 1:
            ((shard, entries),) = by_shard.items()
            await self._publish_to(shard, entries, outcomes)
        else:
            async with asyncio.TaskGroup() as group:
                for shard, entries in by_shard.items():
                    group.create_task(self._publish_to(shard, entries, outcomes))
        return outcomes

    async def _publish_to(self, shard: int, entries: list[Entry], outcomes: list[Outcome]) -> None:
        failure: DispatcherError | None = None
        for chunk in _chunks(entries):
            if failure is None:
                failure = await self._publish_chunk(shard, chunk, outcomes)
            else:
                # Storing later messages after earlier ones failed would change their order.
                for index, _, _ in chunk:
                    outcomes[index] = _not_tried(failure)

    async def _publish_chunk(
        self, shard: int, chunk: list[Entry], outcomes: list[Outcome]
    ) -> DispatcherError | None:
        try:
            ids = await self._call(shard, chunk)
        except (AnswerLost, HalfWay) as error:
            unknown = OutcomeUnknown(str(error))
            unknown.__cause__ = error.__cause__
            return _fail(chunk, outcomes, unknown)
        except DispatcherError as error:
            return _fail(chunk, outcomes, error)
        for (index, _, _), found in zip(chunk, ids, strict=True):
            text: str = found.decode()
            if text[0] == "!":
                outcomes[index] = BrokerUnavailable(
                    f"the customer's stream is damaged: {text[1:]}", retryable=False
                )
            else:
                outcomes[index] = f"{text}-{shard}"
        return None

    async def _call(self, shard: int, chunk: list[Entry]) -> list[bytes]:
        arguments: list[Argument] = [self._half_window_ms]
        for _, message, data in chunk:
            arguments += (message.customer, message.cost, message.id or b"", data)
        # With a key on every message the server recognises what it has stored already.
        harmless = self._half_window_ms > 0 and all(message.id is not None for _, message, _ in chunk)
        pauses_seconds = iter(PAUSES_SECONDS)
        lost: AnswerLost | None = None
        while True:
            try:
                return list(await self._server.run("publish", shard, *arguments))
            except DispatcherError as error:
                lost = error if isinstance(error, AnswerLost) else lost
                repeatable = isinstance(error, NotSent) or (isinstance(error, AnswerLost) and harmless)
                pause_seconds = next(pauses_seconds, None)
                if pause_seconds is None or not (repeatable and error.retryable):
                    if lost is None:
                        raise
                    # That call may have stored them, whatever came of the later ones.
                    raise lost from lost.__cause__
            await asyncio.sleep(pause_seconds)


def _chunks(entries: list[Entry]) -> Iterator[list[Entry]]:
    chunk: list[Entry] = []
    size_bytes = 0
    for entry in entries:
        if chunk and (
            len(chunk) == MOST_MESSAGES_PER_CALL or size_bytes + len(entry[2]) > MOST_BYTES_PER_CALL
        ):
            yield chunk
            chunk, size_bytes = [], 0
        chunk.append(entry)
        size_bytes += len(entry[2])
    yield chunk


def _fail(chunk: list[Entry], outcomes: list[Outcome], error: DispatcherError) -> DispatcherError:
    for index, _, _ in chunk:
        outcomes[index] = error
    return error


def _not_tried(failure: DispatcherError) -> DispatcherError:
    if isinstance(failure, OutcomeUnknown):
        return BrokerUnavailable("not sent, since the outcome of the messages before it is unknown")
    return failure
