"""Which partition each customer's messages go to; has partitions added when there are too few."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from broker_core.errors import BrokerUnavailable
from fair_kafka.ledger.commands import AssignPartitions, PartitionsAdded
from fair_kafka.ledger.outcomes import Assigned, Done, Place
from fair_kafka.replica import Replica
from fair_kafka.session import Session
from fair_kafka.topics import Topics

log = logging.getLogger(__name__)

ATTEMPTS = 5
MOST_ADDED = 128


class CustomerPlaces:
    """Knows from the replica where customers' messages go; asks the ledger for those that have no place."""

    def __init__(self, session: Session, replica: Replica, topics: Topics) -> None:
        self._session = session
        self._replica = replica
        self._topics = topics
        self._share = False

    async def of(self, customers: Iterable[str]) -> dict[str, Place]:
        """Return a place for each customer.

        It may be given to another before it is used, which the ledger notices.
        """
        wanted = list(customers)
        places, lacking = self._known(wanted)
        share = False
        for _ in range(ATTEMPTS):
            if not lacking:
                return places
            # All are named, so that none of them loses its partition to another of them.
            assigned = await self._assign(wanted, share=share or self._share)
            places = {
                customer: place
                for customer, place in zip(wanted, assigned.places, strict=True)
                if place is not None
            }
            lacking = len(wanted) - len(places)
            if lacking:
                # Brokers take long to make many partitions: who finds none this time shares one for now.
                share = lacking > MOST_ADDED or share
                await self._add(assigned.partitions_wanted)
        if lacking:
            raise BrokerUnavailable("there are too few partitions, and new ones are taken at once")
        return places

    def _known(self, customers: list[str]) -> tuple[dict[str, Place], int]:
        """Return the places that are known here, and for how many there is none."""
        found = {customer: self._replica.ledger.place_of(customer) for customer in customers}
        places = {customer: place for customer, place in found.items() if place is not None}
        return places, len(customers) - len(places)

    async def _assign(self, customers: list[str], *, share: bool) -> Assigned:
        return await self._session.run(lambda s, n: AssignPartitions(s, n, tuple(customers), share), Assigned)

    async def _add(self, wanted: int) -> None:
        count = min(wanted, self._replica.ledger.partition_count + MOST_ADDED)
        try:
            await self._topics.ensure_partitions(count)
        except BrokerUnavailable as error:
            if error.retryable:
                raise
            # A policy of the cluster, or missing rights: go on with what there is.
            log.warning("no partitions can be added, customers share what there are: %s", error)
            self._share = True
            return
        have = await self._topics.partition_count()
        await self._session.run(lambda s, n: PartitionsAdded(s, n, have), Done)
