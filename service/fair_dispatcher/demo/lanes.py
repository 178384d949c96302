"""The two ways that the same traffic takes: fairly by customer, and first in, first out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fair_dispatcher.demo.scenario import Event


@dataclass(frozen=True, slots=True)
class Lane:
    """name: also the end of the namespace. title, heading: for a table and for a picture.

    customer_of: in whose name an event's message is published.
    """

    name: str
    title: str
    heading: str
    customer_of: Callable[[Event], str]


FAIR = Lane("fair", "fair", "Fair among customers", lambda event: event.customer)

# A customer's messages keep their order, so everything in one customer's name is one first-in-first-out
# queue: a single stream in the broker.
FIFO = Lane("fifo", "one FIFO stream", "First in, first out", lambda _event: "everybody")
