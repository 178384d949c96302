"""The adapter for Kafka: opens a namespace and puts its parts together."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar

from broker_core.adapter import BrokerAdapter, Capabilities, Settlement
from broker_core.errors import ConfigurationError, DispatcherError
from broker_core.model import Backlog, CustomerBacklog, CustomerPolicy, DeadLetter, Delivery, Message, Page
from broker_core.reaching import reach
from broker_core.settings import DispatcherSettings
from fair_kafka.namespace import Namespace
from fair_kafka.settings import KafkaSettings

CONNECT_PAUSES_SECONDS = (0.2, 0.4)
ADVICE = (
    "check KAFKA_BOOTSTRAP_SERVERS, and that FAIRDISPATCH_KAFKA_SECURITY_PROTOCOL is what these ports speak "
    "(TLS or not)"
)


class KafkaAdapter(BrokerAdapter):
    """One namespace on one Kafka cluster, kept by a ledger that all its dispatchers follow."""

    settings_type: ClassVar[type[DispatcherSettings]] = KafkaSettings
    capabilities: ClassVar[Capabilities] = Capabilities(
        fairness_scope="namespace",
        lease_enforced_by="ledger",
        attempts="exact",
        backlog="exact",
        dedup="namespace",
        policies=frozenset({"weight", "paused"}),
        scheduled=False,
        ttl=False,
        priorities=False,
        max_customers=4000,
        takeover_seconds=None,
        residue=(
            "five topics: no records of messages, at most a snapshot and the ledger behind it, and as many "
            "partitions as there were customers with messages waiting at a time"
        ),
    )

    def __init__(self, settings: KafkaSettings, client: Any = None) -> None:
        if client is not None:
            raise ConfigurationError("the Kafka adapter makes its own connections: give bootstrap_servers")
        if not settings.servers:
            raise ConfigurationError(
                "KAFKA_BOOTSTRAP_SERVERS is not set: give host:port of some brokers, separated by commas"
            )
        self._settings = settings
        self._namespace: Namespace | None = None

    async def open(self) -> None:
        """Connect, make the topics that are missing, and catch up with the ledger."""
        namespace = Namespace(self._settings)
        try:
            await reach(
                namespace.connect,
                pauses_seconds=CONNECT_PAUSES_SECONDS,
                timeout_seconds=self._settings.timeout_seconds,
                advice=ADVICE,
            )
            await namespace.open()
        except BaseException:
            await namespace.close()
            raise
        self._namespace = namespace

    async def close(self) -> None:
        """Undo what is half received, stop all tasks, disconnect."""
        if self._namespace is not None:
            await self._namespace.close()

    @property
    def opened(self) -> Namespace:
        """What works in the namespace, while it is open."""
        if self._namespace is None:
            raise RuntimeError("open() comes first")
        return self._namespace

    async def publish(self, messages: Sequence[Message]) -> list[str | DispatcherError]:
        """See BrokerAdapter; so below."""
        return await self.opened.publisher.publish(messages)

    async def receive(self, max_messages: int, wait_seconds: float) -> list[Delivery]:  # noqa: D102
        return await self.opened.receiver.receive(max_messages, wait_seconds)

    async def settle(self, receipts: Sequence[str], settlement: Settlement) -> list[str]:  # noqa: D102
        return await self.opened.settler.settle(receipts, settlement)

    async def extend(self, receipts: Sequence[str], seconds: float) -> list[datetime | None]:  # noqa: D102
        return await self.opened.settler.extend(receipts, seconds)

    async def set_policy(self, customer: str, policy: CustomerPolicy | None) -> None:  # noqa: D102
        await self.opened.customers.set_policy(customer, policy)

    async def inspect(self, customer: str | None) -> tuple[Backlog, CustomerPolicy | None]:  # noqa: D102
        return await self.opened.customers.inspect(customer)

    async def customers(self, limit: int, cursor: str | None) -> Page[CustomerBacklog]:  # noqa: D102
        return await self.opened.customers.page(limit, cursor)

    async def dead_letters(  # noqa: D102
        self, customer: str | None, limit: int, cursor: str | None
    ) -> Page[DeadLetter]:
        return await self.opened.dead_letters.page(customer, limit, cursor)

    async def end_dead_letters(  # noqa: D102
        self, customer: str, ids: Sequence[str] | None, *, redrive: bool
    ) -> int:
        return await self.opened.dead_letters.end(customer, ids, redrive=redrive)

    async def purge(self, customer: str) -> int:  # noqa: D102
        return await self.opened.customers.purge(customer)
