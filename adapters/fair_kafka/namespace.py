"""The parts of an open namespace, put together."""

from __future__ import annotations

from collections.abc import Sequence

from broker_core.errors import ConfigurationError
from fair_kafka.cleaning import Cleaner
from fair_kafka.clock import LedgerClock
from fair_kafka.cluster import Cluster
from fair_kafka.customers import Customers
from fair_kafka.dead_letters import DeadLetters
from fair_kafka.fetching import Fetcher
from fair_kafka.following import Follower
from fair_kafka.ledger.commands import Command, Open, PartitionsAdded, Tick
from fair_kafka.ledger.outcomes import Done
from fair_kafka.log import Log
from fair_kafka.partitions import Partitions, Stored
from fair_kafka.patience import patiently
from fair_kafka.places import CustomerPlaces
from fair_kafka.publishing import Publisher
from fair_kafka.receiving import Receiver
from fair_kafka.relocating import Relocator
from fair_kafka.replica import Replica
from fair_kafka.session import Session
from fair_kafka.settings import KafkaSettings
from fair_kafka.settling import Settler
from fair_kafka.snapshots import Snapshots
from fair_kafka.ticking import Ticker
from fair_kafka.topics import TopicNames, Topics
from fair_kafka.upcoming import upcoming_refs


class Namespace:
    """A dispatcher's part in a namespace: its connections, its replica and what works on them."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        names = TopicNames.of(settings.topic_prefix, settings.namespace)
        ledger = (names.ledger, 0)
        self._cluster = Cluster(settings, names.all)
        self.partitions = Partitions(self._cluster, settings.timeout_seconds)
        self.topics = Topics(self._cluster, self.partitions, names, settings)
        clock = LedgerClock()
        self._ticker = Ticker(clock, self._tick)
        self._log = Log(self.partitions, ledger, self._appended)
        self.session = Session(
            self._log,
            self._open_command,
            lambda: self.follower.trouble,
            lambda number: self.replica.listen(number),
            settings.timeout_seconds,
        )
        self.replica = Replica(self.session.answered, self._ticker.plan, clock)
        self._ticker.watch(self.replica)
        self.follower = Follower(
            self.partitions, ledger, self.replica, self._reload, settings.timeout_seconds
        )
        self._fetcher = fetcher = Fetcher(self.partitions, names, settings.cache_bytes)
        self.places = CustomerPlaces(self.session, self.replica, self.topics)
        self.publisher = Publisher(
            self.session,
            self.partitions,
            names.messages,
            self.places,
            lambda: self.topics.largest_batch_bytes,
            dedup=settings.dedup_window > 0,
            timeout_seconds=settings.timeout_seconds,
        )
        self.receiver = Receiver(
            self.session,
            fetcher,
            settings,
            self._ticker.waiting,
            lambda size: upcoming_refs(self.replica.ledger, size),
        )
        self.settler = Settler(self.session)
        self.customers = Customers(self.session, self.replica)
        self.dead_letters = DeadLetters(self.session, self.replica, fetcher)
        self._snapshots = Snapshots(self.partitions, (names.snapshots, 0), ledger)
        self._cleaner = Cleaner(
            self.session,
            self.partitions,
            self.replica,
            self._snapshots,
            Relocator(self.session, self.partitions, self.replica, fetcher, names),
            names,
            clock,
        )

    async def connect(self) -> None:
        """Look whether there are brokers."""
        await self._cluster.refresh()

    async def open(self) -> None:
        """Make the topics that are missing, catch up with the ledger, begin a session."""
        await self.topics.prepare()
        await patiently(self._catch_up, self._settings.timeout_seconds)
        self._log.start()
        self.follower.start()
        opened = await self.session.open()
        self._check_hashed(opened.hashed_partitions)
        if opened.hashed_partitions:
            await self.topics.ensure_partitions(opened.hashed_partitions)
        count = await self.topics.partition_count()
        if self.replica.ledger.partition_count < count:
            await self.session.run(lambda s, n: PartitionsAdded(s, n, count), Done)
        self._cleaner.start()

    def _open_command(self, session: int, sequence: int) -> Open:
        settings = self._settings
        return Open(
            session,
            sequence,
            settings.quantum,
            settings.max_attempts,
            round(settings.dedup_window * 1000),
            round(settings.dead_letter_retention * 1000),
            settings.max_partitions,
            settings.partition_step,
            settings.hashed_partitions,
        )

    def _check_hashed(self, namespace_has: int) -> None:
        wanted = self._settings.hashed_partitions
        if wanted != namespace_has:
            raise ConfigurationError(
                f"hashed_partitions is {wanted}, but the namespace {self._settings.namespace!r} was made "
                f"with {namespace_has}: set FAIRDISPATCH_KAFKA_HASHED_PARTITIONS={namespace_has}, or choose "
                "another namespace"
            )

    def _appended(self, stored: Stored, commands: Sequence[Command], size_bytes: int) -> None:
        if not self.replica.appended(stored, commands, size_bytes) or self.follower.trouble:
            self.follower.hurry()

    async def _reload(self) -> None:
        ledger = await self._snapshots.load()
        self.replica.restore(ledger, ledger.applied_offset + 1)
        self.session.missed_answers()

    async def _catch_up(self) -> None:
        await self._reload()
        await self.follower.catch_up()

    def _tick(self) -> None:
        self.session.submit_and_forget(Tick)

    async def close(self) -> None:
        """Stop all tasks and disconnect; what is half received is given back. Idempotent."""
        self._ticker.close()
        await self._cleaner.close()
        await self.receiver.close()
        await self._fetcher.close()
        await self.session.close()
        await self.follower.close()
        await self._log.close()
        await self._cluster.close()
