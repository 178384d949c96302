"""A namespace of its own for each test, and a look into its topics."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from broker_core.dispatcher import FairDispatcher
from fair_kafka.adapter import KafkaAdapter
from fair_kafka.namespace import Namespace
from fair_kafka.partitions import EARLIEST, LATEST
from fair_kafka.settings import KafkaSettings
from fair_kafka.topics import TopicNames
from tests.conformance.kafka_harness import KafkaHarness
from tests.servers.interface import BrokerServer


class Stage(KafkaHarness):
    """One namespace."""

    def __init__(self, server: BrokerServer) -> None:
        super().__init__(server)
        self.name = f"k{os.getpid()}-{os.urandom(4).hex()}"
        self.names = TopicNames.of("fair-dispatcher", self.name)

    def settings(self, **settings: object) -> KafkaSettings:
        return KafkaSettings.load(namespace=self.name, bootstrap_servers=self._servers, **settings)

    async def dispatcher_and_inside(self, **settings: object) -> tuple[FairDispatcher, Namespace]:
        """Open a dispatcher; the harness closes it in the end."""
        self._namespaces.add(self.name)
        loaded = self.settings(**settings)
        adapter = KafkaAdapter(loaded)
        dispatcher = FairDispatcher(adapter, loaded)
        self._dispatchers.append(dispatcher)
        await dispatcher.open()
        return dispatcher, adapter.opened

    async def open_here(self, **settings: object) -> FairDispatcher:
        return (await self.dispatcher_and_inside(**settings))[0]

    @asynccontextmanager
    async def inside(self, **settings: object) -> AsyncIterator[Namespace]:
        """Open the parts of a dispatcher of its own."""
        self._namespaces.add(self.name)
        namespace = Namespace(self.settings(max_payload_bytes=1000, **settings))
        try:
            await namespace.open()
            yield namespace
        finally:
            await namespace.close()

    async def spans(self, **settings: object) -> Mapping[tuple[str, int], tuple[int, int]]:
        """Tell the first offset and the end of each partition."""
        async with self.inside(**settings) as namespace:
            places = [
                (self.names.messages, number) for number in range(await namespace.topics.partition_count())
            ]
            places += [(name, 0) for name in self.names.all if name != self.names.messages]
            starts = await namespace.partitions.ends(places, EARLIEST)
            ends = await namespace.partitions.ends(places, LATEST)
        found = {}
        for place in places:
            start, end = starts[place], ends[place]
            assert isinstance(start, int)
            assert isinstance(end, int)
            found[place] = start, end
        return found
