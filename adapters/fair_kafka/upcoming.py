"""Guesses which payloads are wanted next, so that they can be read together with others."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from fair_kafka.ledger.commands import Ref, Topic
from fair_kafka.ledger.state import Ledger

# Dispatchers that said something so lately share what comes next.
ALIVE_MS = 10_000
MESSAGES = int(Topic.MESSAGES)
RECEIVES_AHEAD = 3


def upcoming_refs(ledger: Ledger, size: int) -> Iterator[Ref]:
    """Yield where the first messages of the next customers lie, for some receives of this size.

    The more dispatchers there are the fewer, since each gets only a part of them. The ledger must not
    change meanwhile.
    """
    limit = RECEIVES_AHEAD * size // max(1, len(ledger.sessions_alive(ALIVE_MS)))
    return islice(_heads(ledger), limit)


def _heads(ledger: Ledger) -> Iterator[Ref]:
    # The constructors of named tuples are functions; this is what they call.
    new, known = tuple.__new__, ledger.customers.get
    for name in ledger.ring:
        customer = known(name)
        if customer is None:
            continue
        if customer.returned:
            yield ledger.entries[customer.returned[0]].ref
        elif (place := customer.fresh.head_place()) is not None:
            yield new(Ref, (MESSAGES, *place))
