"""What operators have set for customers, as far as the journal has told it, and what holds without."""

from __future__ import annotations

from fair_rabbitmq.journal.stream import Journal


class Policies:
    """Weights and pauses of all customers, for whoever schedules."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def weight(self, customer: str) -> int:
        """Return the customer's weight, 1 if none is set."""
        policy = self._journal.replica.policy(customer)
        return policy.weight if policy is not None and policy.weight is not None else 1

    def is_paused(self, customer: str) -> bool:
        """Tell whether nothing of the customer may be handed over."""
        policy = self._journal.replica.policy(customer)
        return policy is not None and bool(policy.paused)
