"""Options that several commands share, and the dispatcher that they choose."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, TypeVar

import typer

from broker_core import FairDispatcher, open_dispatcher
from broker_core.errors import ConfigurationError
from broker_core.installed import adapter_names
from broker_core.settings import BROKER_VARIABLE
from fair_dispatcher.runtime import run

T = TypeVar("T")

_MEMORY = "memory"
_REDIS, _REDIS_URL, _TEMPORARY_SERVER = "redis", "REDIS_URL", "embedded:"


def _complete_broker(incomplete: str) -> list[str]:
    return [name for name in adapter_names() if name.startswith(incomplete)]


Broker = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="The adapter to use, an installed one. Else the variable BROKER.",
        autocompletion=_complete_broker,
    ),
]
Url = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Where the broker is. Else the adapter's own variable, REDIS_URL for example, which keeps a "
        "password out of the list of processes.",
    ),
]
Namespace = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="The logical queue in the broker. Else FAIRDISPATCH_NAMESPACE, else default."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]
AsNdjson = Annotated[bool, typer.Option("--json", help="Print a JSON document a line, for machines.")]
Limit = Annotated[int, typer.Option(min=1, max=1000, metavar="N", help="Most entries to list, 1 to 1000.")]
All = Annotated[bool, typer.Option("--all", help="List every entry, however many there are.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]
Customer = Annotated[str, typer.Argument(metavar="CUSTOMER", help="The customer's name.")]
OptionalCustomer = Annotated[
    str | None, typer.Argument(metavar="CUSTOMER", help="The customer's name; all customers if left out.")
]


@dataclass(frozen=True, slots=True)
class Target:
    """Which namespace of which broker a command works on; None: as the environment says."""

    broker: str | None
    url: str | None
    namespace: str | None

    def dispatcher(self) -> FairDispatcher:
        """Make the dispatcher. Raises ConfigurationError."""
        settings = {} if self.namespace is None else {"namespace": self.namespace}
        return open_dispatcher(self.broker, self.url, **settings)

    def shared_dispatcher(self) -> FairDispatcher:
        """Make the dispatcher. Raises ConfigurationError, also for a broker that no other process sees."""
        if self.in_one_process:
            raise ConfigurationError(
                f"{_MEMORY} and {_TEMPORARY_SERVER} without a folder are for one process, which is this one: "
                "what is published in it ends with it, and nothing comes from others; take a server, or "
                f"{_TEMPORARY_SERVER}/path/to/data"
            )
        return self.dispatcher()

    @property
    def in_one_process(self) -> bool:
        """Whether no other process sees what is in the broker."""
        broker = self.broker or os.environ.get(BROKER_VARIABLE)
        url = self.url if self.url is not None else os.environ.get(_REDIS_URL)
        return broker == _MEMORY or (broker == _REDIS and url == _TEMPORARY_SERVER)

    def run(self, operation: Callable[[FairDispatcher], Awaitable[T]]) -> T:
        """Run the operation on an open dispatcher, which is closed then."""

        async def with_dispatcher() -> T:
            async with self.dispatcher() as dispatcher:
                return await operation(dispatcher)

        return run(with_dispatcher())
