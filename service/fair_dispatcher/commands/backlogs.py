"""`fairdispatch customers` and `fairdispatch backlog`: how many messages are where."""

from __future__ import annotations

from dataclasses import astuple

import typer

from broker_core import Backlog, FairDispatcher
from fair_dispatcher.commands.options import (
    All,
    AsJson,
    AsNdjson,
    Broker,
    Limit,
    Namespace,
    OptionalCustomer,
    Target,
    Url,
)
from fair_dispatcher.commands.output import Column, Listing, print_json
from fair_dispatcher.commands.paging import pages
from fair_dispatcher.usage import examples

app = typer.Typer()

STATES = ("ready", "leased", "delayed", "dead")
_COUNTS = [Column(state, number=True, least_width=9) for state in STATES]


def counts(backlog: Backlog) -> dict[str, int]:
    """Return the numbers by state."""
    return dict(zip(STATES, astuple(backlog), strict=True))


@app.command(
    epilog=examples(
        ("the first hundred", "fairdispatch customers"),
        ("who has dead letters", "fairdispatch customers --all --json | grep -v '\"dead\": 0'"),
    )
)
def customers(
    limit: Limit = 100,
    every: All = False,
    as_json: AsNdjson = False,
    broker: Broker = None,
    url: Url = None,
    namespace: Namespace = None,
) -> None:
    """List customers and their backlogs.

    Those that have a message in any state, or a policy.

    --json prints for each customer: customer, ready, leased, delayed, dead.
    """

    async def list_customers(dispatcher: FairDispatcher) -> None:
        listing = Listing(*_COUNTS, Column("customer"))
        async for page in pages(dispatcher.customers, None if every else limit):
            if as_json:
                for entry in page:
                    print_json({"customer": entry.customer, **counts(entry.backlog)})
            else:
                listing.add([*counts(entry.backlog).values(), entry.customer] for entry in page)

    Target(broker, url, namespace).run(list_customers)


@app.command(
    epilog=examples(
        ("of the namespace", "fairdispatch backlog"),
        ("of one customer, for machines", "fairdispatch backlog acme --json"),
    )
)
def backlog(
    customer: OptionalCustomer = None,
    as_json: AsJson = False,
    broker: Broker = None,
    url: Url = None,
    namespace: Namespace = None,
) -> None:
    """Count messages by state.

    Of the whole namespace or of one customer; zeros for an unknown one.

    --json prints: customer (null for all), ready, leased, delayed, dead.
    """
    found = counts(Target(broker, url, namespace).run(lambda dispatcher: dispatcher.backlog(customer)))
    if as_json:
        print_json({"customer": customer, **found})
    else:
        Listing(*_COUNTS).add([list(found.values())])
