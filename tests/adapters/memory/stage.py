"""A memory broker whose time is set by the test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from broker_core import Delivery, Message
from broker_core.adapter import Settlement, Verb
from fair_memory.broker import MemoryBroker
from fair_memory.settings import MemorySettings

NOON = 1_800_000_000.0


class Stage:
    """A broker, its clock, and calls with few words."""

    def __init__(self, **settings: Any) -> None:
        self.now = NOON
        self.settings = MemorySettings.load(**{"lease_seconds": 30, **settings})
        self.broker = MemoryBroker(clock=lambda: self.now)

    def publish(self, *customers: str, cost: int = 1, id: str | None = None) -> list[str]:  # noqa: A002
        messages = [Message(customer, b"x", {}, id, cost) for customer in customers]
        stored = self.broker.publish(messages, self.settings)
        return [one for one in stored if isinstance(one, str)]

    def receive(self, most: int = 100) -> list[Delivery]:
        return self.broker.receive(most, self.settings)

    def order(self, most: int = 100) -> str:
        return "".join(delivery.customer for delivery in self.receive(most))

    def settle(
        self, verb: Verb, deliveries: Sequence[Delivery], delay: float = 0.0, reason: str = ""
    ) -> list[str]:
        receipts = [delivery.receipt for delivery in deliveries]
        return self.broker.settle(receipts, Settlement(verb, delay, reason), self.settings)

    def backlog(self, customer: str | None = None) -> tuple[int, int, int, int]:
        """Ready, leased, delayed, dead."""
        found, _ = self.broker.inspect(customer, self.settings)
        return found.ready, found.leased, found.delayed, found.dead
