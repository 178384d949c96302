"""What a consumer tells of a hand-over, so that the books know the message by name."""

from __future__ import annotations

import time
from typing import NamedTuple

from broker_core import Delivery

INDEX_HEADER = "demo-index"
RUN_HEADER = "demo-run"


class HandOver(NamedTuple):
    """The start of a message's handler.

    run, place: of the message's event; '' and −1 for a message that no demo has published.
    at: seconds of the monotonic clock, which all processes of a machine share.
    """

    run: str
    place: int
    at: float

    @classmethod
    def of(cls, delivery: Delivery) -> HandOver:
        """Take down that the handler of this delivery starts now."""
        headers = delivery.message.headers
        place = headers.get(INDEX_HEADER, "")
        if not place.isdecimal():
            return cls("", -1, time.monotonic())
        return cls(headers.get(RUN_HEADER, ""), int(place), time.monotonic())
