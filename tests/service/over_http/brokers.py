"""The brokers that the tests over HTTP run on."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from broker_core import FairDispatcher, open_dispatcher

_numbers = itertools.count()


@dataclass(frozen=True)
class Place:
    """An empty namespace of a broker. url: where it is; variable: the environment's name for that."""

    broker: str
    url: str
    variable: str
    namespace: str

    def dispatcher(self, suffix: str = "", **settings: Any) -> FairDispatcher:
        """Make a dispatcher of this namespace, to be opened."""
        return open_dispatcher(self.broker, self.url, namespace=self.namespace + suffix, **settings)

    def environment(self) -> dict[str, str]:
        """What lets a process use it."""
        return {"BROKER": self.broker, self.variable: self.url, "FAIRDISPATCH_NAMESPACE": self.namespace}


def _memory(_: pytest.FixtureRequest) -> tuple[str, str]:
    return f"memory:http-{next(_numbers)}", ""


def _redis(request: pytest.FixtureRequest) -> tuple[str, str]:
    return request.getfixturevalue("redis7").url, "REDIS_URL"


def _rabbitmq(request: pytest.FixtureRequest) -> tuple[str, str]:
    return request.getfixturevalue("rabbitmq").url, "RABBITMQ_URL"


def _kafka(request: pytest.FixtureRequest) -> tuple[str, str]:
    return request.getfixturevalue("kafka").url, "KAFKA_BOOTSTRAP_SERVERS"


# Every broker in this table gets all tests of this folder that take a `place`.
BROKERS: dict[str, Callable[[pytest.FixtureRequest], tuple[str, str]]] = {
    "memory": _memory,
    "redis": _redis,
    "rabbitmq": _rabbitmq,
    "kafka": _kafka,
}

# Those that processes can share.
SHARED_BROKERS = [broker for broker in BROKERS if broker != "memory"]


def place_in(broker: str, request: pytest.FixtureRequest) -> Place:
    """Return an empty namespace, on a server that is started if need be."""
    url, variable = BROKERS[broker](request)
    return Place(broker, url, variable, f"http-{next(_numbers)}")
