"""Appending to the ledger while brokers fail."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from broker_core.conformance.polling import Deadline
from broker_core.errors import BrokerUnavailable
from fair_kafka.cluster import Cluster, Lane
from fair_kafka.errors import AnswerLost, NotSent
from fair_kafka.ledger.commands import Tick
from fair_kafka.log import RECORDS_ON_THE_WAY, Log
from fair_kafka.partitions import Partitions, Place, Stored
from fair_kafka.settings import KafkaSettings

LEDGER = ("ledger", 0)


class FailingPartitions(Partitions):
    """Answers with these errors first; then each record is stored when `go_on` is set."""

    def __init__(self, *failures: NotSent | AnswerLost) -> None:
        super().__init__(Cluster(KafkaSettings.load(bootstrap_servers="127.0.0.1:1"), []), 1.0)
        self.failures = list(failures)
        self.asked = 0
        self.go_on = asyncio.Event()

    async def store(
        self, lane: Lane, batches: Mapping[Place, bytes]
    ) -> dict[Place, Stored | BrokerUnavailable]:
        del lane
        self.asked += 1
        offset = self.asked
        await asyncio.sleep(0)
        if self.failures:
            return dict.fromkeys(batches, self.failures.pop(0))
        await self.go_on.wait()
        return dict.fromkeys(batches, Stored(offset, 0))


class Appended:
    """Remembers the sequences of what was appended."""

    def __init__(self) -> None:
        self.sequences: list[int] = []
        self.one = asyncio.Event()

    def __call__(self, stored: Stored, commands: object, size_bytes: int, /) -> None:
        del stored, size_bytes
        assert isinstance(commands, list)
        self.sequences += [command.sequence for command in commands]
        self.one.set()


@pytest.mark.parametrize("failure", [NotSent("no connection"), AnswerLost("cut")])
async def test_what_failed_is_appended_without_another_command(failure: NotSent | AnswerLost) -> None:
    partitions, appended = FailingPartitions(failure), Appended()
    partitions.go_on.set()
    log = Log(partitions, LEDGER, appended)
    log.start()
    try:
        log.append(Tick(1, 1), patience_seconds=30)
        await asyncio.wait_for(appended.one.wait(), 5)
        assert appended.sequences == [1]
        assert partitions.asked == 2
    finally:
        await log.close()


async def test_a_record_leaves_while_another_is_on_its_way(deadline: Deadline) -> None:
    partitions, appended = FailingPartitions(), Appended()
    log = Log(partitions, LEDGER, appended)
    log.start()
    try:
        for sequence in range(1, 10):
            log.append(Tick(1, sequence), patience_seconds=30)
            for _ in range(10):
                await asyncio.sleep(0)
        assert partitions.asked == RECORDS_ON_THE_WAY, "the others go together into the next record"
        partitions.go_on.set()
        await deadline.until(lambda: len(appended.sequences) >= 9, "all commands")
        assert sorted(appended.sequences) == list(range(1, 10))
        assert partitions.asked == RECORDS_ON_THE_WAY + 1
    finally:
        await log.close()
