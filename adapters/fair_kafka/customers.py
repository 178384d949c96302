"""Policies, backlogs and the listing of customers; removes a customer's messages."""

from __future__ import annotations

from broker_core.model import Backlog, CustomerBacklog, CustomerPolicy, Page
from fair_kafka.ledger.commands import Purge, SetPolicy
from fair_kafka.ledger.outcomes import Counted, Done
from fair_kafka.replica import Replica
from fair_kafka.session import Session


class Customers:
    """What the namespace knows of its customers. A query first lets time pass, so it is exact."""

    def __init__(self, session: Session, replica: Replica) -> None:
        self._session = session
        self._replica = replica

    async def set_policy(self, customer: str, policy: CustomerPolicy | None) -> None:
        """Replace the policy; None removes it."""
        await self._session.run(lambda s, n: SetPolicy(s, n, customer, policy), Done)

    async def inspect(self, customer: str | None) -> tuple[Backlog, CustomerPolicy | None]:
        """Count the messages of the customer or of all, and read the customer's policy."""
        await self._session.pass_time()
        ledger = self._replica.ledger
        return ledger.backlog(customer), None if customer is None else ledger.policy(customer)

    async def page(self, limit: int, cursor: str | None) -> Page[CustomerBacklog]:
        """List customers by name."""
        await self._session.pass_time()
        return self._replica.ledger.customers_page(limit, cursor)

    async def purge(self, customer: str) -> int:
        """Remove what is ready, delayed or leased of the customer; return how many."""
        outcome = await self._session.run(lambda s, n: Purge(s, n, customer), Counted)
        return outcome.count
