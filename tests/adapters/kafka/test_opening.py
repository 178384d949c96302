"""What is wrong is told when a namespace is opened."""

from __future__ import annotations

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from hypothesis import given
from hypothesis import strategies as st

from broker_core import open_dispatcher
from broker_core.errors import BrokerUnavailable, ConfigurationError
from fair_kafka.cluster import Lane
from fair_kafka.ledger.codec import FORMAT
from fair_kafka.ledger.ledger_pb2 import Record
from fair_kafka.records import build_batch
from fair_kafka.topics import TopicNames
from tests.adapters.kafka.stage import Stage
from tests.adapters.silent import Silent

NAMESPACES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True)


def as_kafka_compares(name: str) -> str:
    return name.replace(".", "_")


@given(NAMESPACES, NAMESPACES)
def test_namespaces_never_share_a_topic(one: str, other: str) -> None:
    ours = {as_kafka_compares(name) for name in TopicNames.of("fair-dispatcher", one).all}
    theirs = {as_kafka_compares(name) for name in TopicNames.of("fair-dispatcher", other).all}
    assert len(ours) == 5
    assert one == other or not ours & theirs
    assert all(len(name) <= 249 for name in TopicNames.of("p" * 100, one).all)


@pytest.mark.parametrize(
    "configuration",
    [
        {"cleanup.policy": "compact"},
        {"cleanup.policy": "delete", "retention.ms": "3600000"},
        {"retention.ms": "-1", "max.message.bytes": "1000000"},
        {"retention.ms": "-1", "message.timestamp.type": "CreateTime"},
    ],
    ids=lambda configuration: ",".join(configuration),
)
async def test_a_topic_that_would_lose_messages_is_refused(
    stage: Stage, configuration: dict[str, str]
) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=f"{stage.broker_address()[0]}:{stage.broker_address()[1]}")
    await admin.start()
    try:
        await admin.create_topics([NewTopic(stage.names.ledger, 1, 1, topic_configs=configuration)])
    finally:
        await admin.close()
    with pytest.raises(ConfigurationError, match=r"topic .*ledger has "):
        await stage.open_here()


async def test_a_namespace_made_for_small_messages_refuses_larger_ones(stage: Stage) -> None:
    await stage.open_here(segment_bytes=1 << 20, max_payload_bytes=1 << 18)
    with pytest.raises(ConfigurationError, match="max_payload_bytes"):
        await stage.open_here(max_payload_bytes=4 << 20)


def test_servers_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    with pytest.raises(ConfigurationError, match="KAFKA_BOOTSTRAP_SERVERS"):
        open_dispatcher(broker="kafka")


@pytest.mark.parametrize("servers", ["host:port", "host:0", "host:70000", ":9092,"])
async def test_servers_that_are_none_are_refused(servers: str) -> None:
    dispatcher = open_dispatcher(broker="kafka", bootstrap_servers=servers)
    with pytest.raises(ConfigurationError, match="KAFKA_BOOTSTRAP_SERVERS"):
        await dispatcher.open()


@pytest.mark.parametrize("protocol", ["PLAINTEXT", "SSL"])
async def test_a_port_that_speaks_something_else(silent: Silent, protocol: str) -> None:
    dispatcher = open_dispatcher(
        broker="kafka",
        bootstrap_servers=f"{silent.host}:{silent.port}",
        security_protocol=protocol,
        timeout_seconds=0.5,
    )
    with pytest.raises(BrokerUnavailable, match="FAIRDISPATCH_KAFKA_SECURITY_PROTOCOL"):
        await dispatcher.open()
    assert silent.accepted == 1


async def test_a_url_names_the_servers_too(stage: Stage) -> None:
    host, port = stage.broker_address()
    async with open_dispatcher(broker="kafka", url=f"kafka://{host}:{port}", namespace=stage.name) as d:
        stage.settings()
        assert (await d.backlog()).ready == 0


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"security_protocol": "SASL_SSL"}, "username"),
        ({"security_protocol": "SSL", "ssl_ca_file": "/nowhere/ca.pem"}, "ssl_ca_file"),
    ],
)
async def test_security_settings_that_contradict_are_refused(settings: dict[str, str], named: str) -> None:
    dispatcher = open_dispatcher(broker="kafka", bootstrap_servers="127.0.0.1:9", **settings)
    with pytest.raises(ConfigurationError, match=named):
        await dispatcher.open()


async def test_a_ledger_of_a_later_version_is_refused(stage: Stage) -> None:
    _, inside = await stage.dispatcher_and_inside()
    record = build_batch([(None, Record(format=FORMAT + 1).SerializeToString(), ())])
    await inside.partitions.store(Lane.APPEND, {(stage.names.ledger, 0): record})
    with pytest.raises(BrokerUnavailable, match="update this dispatcher") as caught:
        await stage.open_here()
    assert not caught.value.retryable
