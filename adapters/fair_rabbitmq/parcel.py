"""A message as it travels through the broker while it isn't in its customer's queue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Parcel:
    """All that is needed to put a message into its customer's queue again, and nothing of its state.

    body: as it was found in the queue, whether it can be decoded or not. headers: what the adapter keeps
    beside the body (cost, time of publishing and the like), returned unchanged.
    """

    id: str
    customer: str
    body: bytes = field(repr=False)
    headers: Mapping[str, str | int] = field(default_factory=dict, repr=False)
