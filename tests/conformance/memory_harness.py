"""The harness of the memory adapter: nothing to restart, no other process, no connection."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, ClassVar

from broker_core.adapter import Capabilities
from broker_core.conformance.harness import Features, Harness
from broker_core.conformance.proxy import TcpProxy
from broker_core.dispatcher import FairDispatcher
from broker_core.model import Delivery
from fair_memory.adapter import MemoryAdapter
from fair_memory.broker import MemoryBroker
from fair_memory.namespaces import find_namespace


class MemoryHarness(Harness):
    """Dispatchers of one test share brokers by the name of their namespace."""

    features: ClassVar[Features] = Features(
        processes=False, restartable=False, proxy=False, credentials=False, garbage=True, removal=True
    )

    def __init__(self, adapter_type: type[MemoryAdapter] = MemoryAdapter) -> None:
        super().__init__()
        self._adapter_type = adapter_type

    @property
    def capabilities(self) -> Capabilities:
        return self._adapter_type.capabilities

    def make(self, namespace: str, proxy: TcpProxy | None, settings: Mapping[str, Any]) -> FairDispatcher:
        assert proxy is None
        loaded = self._adapter_type.settings_type.load(namespace=namespace, **settings)
        return FairDispatcher(self._adapter_type(loaded), loaded)

    def _broker(self, namespace: str) -> MemoryBroker | None:
        return find_namespace((self._adapter_type.broker_type, "", namespace))

    async def residue(self, namespace: str) -> Collection[str]:
        broker = self._broker(namespace)
        return [] if broker is None else broker.residue()

    def constant_residue(self, namespace: str) -> Collection[str]:
        return []

    async def inject_garbage(self, namespace: str, customer: str) -> None:
        broker = self._broker(namespace)
        assert broker is not None
        broker.inject_garbage(customer, b"garbage")

    async def remove_leased(self, namespace: str, delivery: Delivery) -> None:
        broker = self._broker(namespace)
        assert broker is not None
        entry = broker._leased[delivery.receipt]
        broker._end_lease(entry)
        broker._remove(entry)
