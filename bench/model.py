"""What a scenario is made of."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

Metrics = Mapping[str, float | str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What a case is run with: its own empty server, and settings of the whole run.

    server_pid: of the server, which runs on this machine. scale: 1.0 is the full size.
    """

    url: str
    server_pid: int
    scale: float

    @property
    def broker(self) -> str:
        """Name the broker as `BROKER` does; Kafka's address is no URL."""
        return {"redis": "redis", "amqp": "rabbitmq"}.get(self.url.partition("://")[0], "kafka")

    def scaled(self, count: int, least: int = 1) -> int:
        """Return the count at this scale."""
        return max(least, round(count * self.scale))


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to measure, alone in a new process with an empty server.

    It returns its metrics: numbers, or texts for the record.
    """

    name: str
    run: Callable[[Bench], Coroutine[Any, Any, Metrics]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the report: a metric of a case, or its ratio to another (repetition by repetition).

    at_least, at_most: what it has to show, at full size.
    """

    label: str
    case: str
    metric: str
    over: tuple[str, str] | None = None
    unit: str = ""
    at_least: float | None = None
    at_most: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Cases that are compared, so that their repetitions alternate, and the figures that follow from them.

    most_repetitions: fewer than asked for where one takes long or has little spread.
    append_only: the durability settings under which it is measured, of Redis. brokers: on which it can run,
    with the part of the full size that is enough there.
    """

    name: str
    about: str
    cases: tuple[Case, ...]
    figures: tuple[Figure, ...]
    most_repetitions: int = 5
    append_only: tuple[str, ...] = ("no",)
    brokers: Mapping[str, float] = field(default_factory=lambda: {"redis": 1.0})
