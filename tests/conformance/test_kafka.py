"""The contract on Kafka."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from broker_core.conformance.harness import Harness
from broker_core.conformance.requirements import needs_of
from broker_core.conformance.suite import *  # noqa: F403 - the suite's classes are tests of this module
from tests.conformance.kafka_harness import KafkaHarness, PasswordKafkaHarness
from tests.conformance.kafka_passwords import PasswordKafka
from tests.servers.fixtures import server_for
from tests.servers.interface import BrokerServer, ServerAbsent
from tests.servers.kafka_jars import kafka_jars


@pytest.fixture(scope="module")
def kafka_with_passwords() -> Iterator[BrokerServer]:
    try:
        server = PasswordKafka(kafka_jars())
    except ServerAbsent as absent:
        pytest.skip(f"server absent: {absent}")
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
async def harness(request: pytest.FixtureRequest) -> AsyncIterator[Harness]:
    if "credentials" in needs_of(request.node):
        async with PasswordKafkaHarness(request.getfixturevalue("kafka_with_passwords")) as harness:
            yield harness
    else:
        async with KafkaHarness(server_for(request, "kafka")) as harness:
            yield harness
