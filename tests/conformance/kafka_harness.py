"""The harness of the adapter for Kafka."""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
import struct
from collections.abc import Collection, Mapping
from types import TracebackType
from typing import Any, ClassVar

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from broker_core.adapter import Capabilities
from broker_core.conformance.harness import Features, Harness
from broker_core.conformance.polling import Deadline
from broker_core.conformance.proxy import Direction, TcpProxy
from broker_core.dispatcher import FairDispatcher
from broker_core.model import Delivery
from fair_kafka.adapter import KafkaAdapter
from fair_kafka.cluster import Cluster, Lane
from fair_kafka.ledger.codec import encode, join
from fair_kafka.ledger.commands import Close, Gone, Publish, PublishEntry, Vanished
from fair_kafka.ledger.outcomes import Published
from fair_kafka.ledger.receipts import serial_of
from fair_kafka.namespace import Namespace
from fair_kafka.partitions import EARLIEST, LATEST, Partitions, Stored
from fair_kafka.records import build_batch
from fair_kafka.settings import KafkaSettings
from fair_kafka.topics import TopicNames
from tests.conformance.kafka_passwords import PASSWORD, USER
from tests.servers.interface import BrokerServer

_RESTART_SECONDS = 40.0
# Through a proxy connections are broken on purpose; tests needn't wait as long for it as networks do.
_PROXY_TIMEOUT_SECONDS = 1.0
_GARBAGE = b"\xff\xff\xff no envelope"


class AdvertisingProxy(TcpProxy):
    """A proxy that stays in between: brokers tell clients where they are, so it puts its address there."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port)
        self._advertised = host.encode() + struct.pack(">i", port)

    def _allowed(self, chunk: bytes, direction: Direction) -> tuple[bytes, bool]:
        if direction == "to_client":
            chunk = chunk.replace(self._advertised, self.host.encode() + struct.pack(">i", self.port))
        return super()._allowed(chunk, direction)


class KafkaHarness(Harness):
    """Every namespace has topics of its own, which are deleted when the test ends.

    Tests that need a broker that checks passwords get a PasswordKafkaHarness.
    """

    features: ClassVar[Features] = Features(
        processes=True,
        restartable=True,
        proxy=True,
        credentials=True,
        garbage=True,
        removal=True,
        staged_publish=True,
    )
    # Records are deleted once a second, and after this time by another dispatcher than the one that died.
    residue_seconds: ClassVar[float] = 15.0
    security: ClassVar[Mapping[str, str]] = {}

    def __init__(self, server: BrokerServer) -> None:
        super().__init__()
        self._server = server
        self._namespaces: set[str] = set()
        self._adapters: list[KafkaAdapter] = []

    @property
    def server(self) -> str:
        return self._server.version

    @property
    def capabilities(self) -> Capabilities:
        return KafkaAdapter.capabilities

    @property
    def _servers(self) -> str:
        return f"{self._server.host}:{self._server.port}"

    def make(self, namespace: str, proxy: TcpProxy | None, settings: Mapping[str, Any]) -> FairDispatcher:
        where = {"bootstrap_servers": self._servers}
        if proxy is not None:
            where = {"bootstrap_servers": f"{proxy.host}:{proxy.port}"}
            settings = {"timeout_seconds": _PROXY_TIMEOUT_SECONDS, **settings}
        loaded = KafkaSettings.load(namespace=namespace, **where, **{**self.security, **settings})
        self._namespaces.add(namespace)
        adapter = KafkaAdapter(loaded)
        self._adapters.append(adapter)
        return FairDispatcher(adapter, loaded)

    def worker_target(self) -> Mapping[str, Any]:
        return {"broker": "kafka", "bootstrap_servers": self._servers, **self.security}

    def broker_address(self) -> tuple[str, int]:
        return self._server.host, self._server.port

    async def proxy(self) -> TcpProxy:
        proxy = await AdvertisingProxy(*self.broker_address()).start()
        self._proxies.append(proxy)
        return proxy

    async def restart_broker(self) -> None:
        self._server.kill()
        self._server.launch()
        await Deadline(_RESTART_SECONDS).until(self._server.answers, "the server after its restart")

    def unauthorised(self, namespace: str) -> FairDispatcher:
        return self.make(namespace, None, {"password": "wrong-secret"})

    async def residue(self, namespace: str) -> Collection[str]:
        names = self._names(namespace)
        cluster = Cluster(self._settings(namespace), names.all)
        partitions = Partitions(cluster, 5.0)
        try:
            await cluster.refresh()
            found = [name for name in names.all if cluster.partitions_of(name)]
            places = [
                (name, number)
                for name in (names.messages, names.retry, names.dead)
                for number in range(cluster.partitions_of(name))
            ]
            starts, ends = await partitions.ends(places, EARLIEST), await partitions.ends(places, LATEST)
            found += [f"records in {place}" for place in places if starts[place] != ends[place]]
            return found
        finally:
            await cluster.close()

    def constant_residue(self, namespace: str) -> Collection[str]:
        return self._names(namespace).all

    async def inject_garbage(self, namespace: str, customer: str) -> None:
        inside = Namespace(self._settings(namespace))
        try:
            await inside.open()
            place = (await inside.places.of([customer]))[customer]
            where = (self._names(namespace).messages, place.partition)
            stored = await inside.partitions.store(Lane.STORE, {where: build_batch([(None, _GARBAGE, ())])})
            answer = stored[where]
            assert isinstance(answer, Stored), answer
            entry = PublishEntry(customer, place.partition, place.epoch, answer.first_offset, 1, 1)
            await inside.session.run(lambda s, n: Publish(s, n, (entry,)), Published)
        finally:
            await inside.close()

    async def remove_leased(self, namespace: str, delivery: Delivery) -> None:
        """Remove it from the ledger, as a dispatcher does that finds its record gone.

        The record itself stays: Kafka deletes none without those before it.
        """
        serial = serial_of(delivery.id)
        assert serial is not None
        record = self._removal_of(serial)
        where = (self._names(namespace).ledger, 0)
        cluster = Cluster(self._settings(namespace), self._names(namespace).all)
        try:
            stored = await Partitions(cluster, 5.0).store(
                Lane.APPEND, {where: build_batch([(None, record, ())])}
            )
            assert isinstance(stored[where], Stored), stored
        finally:
            await cluster.close()

    def _removal_of(self, serial: int) -> bytes:
        """Encode what a dispatcher would append that opens, finds the record gone, and closes."""
        ledgers = (adapter.opened.replica.ledger for adapter in self._adapters)
        ledger = next(ledger for ledger in ledgers if serial in ledger.entries)
        entry, (_, known) = ledger.entries[serial], next(iter(ledger.sessions))
        session = secrets.randbits(64)
        commands = (
            dataclasses.replace(known.settings, session=session, sequence=1),
            Vanished(session, 2, (Gone(serial, entry.ref),)),
            Close(session, 3),
        )
        return join(map(encode, commands))

    def _settings(self, namespace: str) -> KafkaSettings:
        return KafkaSettings.load(namespace=namespace, bootstrap_servers=self._servers)

    def _names(self, namespace: str) -> TopicNames:
        return TopicNames.of(self._settings(namespace).topic_prefix, namespace)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await super().__aexit__(kind, error, trace)
        finally:
            with contextlib.suppress(KafkaError, OSError, TimeoutError):
                await self._delete_topics()

    async def _delete_topics(self) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self._servers)
        await admin.start()
        try:
            names = [name for namespace in self._namespaces for name in self._names(namespace).all]
            await admin.delete_topics(names, timeout_ms=5000)
        finally:
            await admin.close()


class PasswordKafkaHarness(KafkaHarness):
    """Over a PasswordKafka."""

    security: ClassVar[Mapping[str, str]] = {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "PLAIN",
        "username": USER,
        "password": PASSWORD,
    }

    async def _delete_topics(self) -> None:
        """Its server ends with the few tests that need it."""
