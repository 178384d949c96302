"""`fairdispatch dead-letters …`: messages that are not delivered any more."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated

import typer

from broker_core import DeadLetter, FairDispatcher
from fair_dispatcher.commands.confirming import confirm
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
    Yes,
)
from fair_dispatcher.commands.output import Column, Listing, payload_fields, print_json, printable
from fair_dispatcher.commands.paging import pages
from fair_dispatcher.usage import examples, show_help

app = typer.Typer(help="See dead letters, redrive or remove them.")
app.callback(invoke_without_command=True)(show_help)

Ids = Annotated[
    list[str] | None,
    typer.Option("--id", metavar="ID", help="Only this one, as `list` shows it; may be repeated."),
]


@app.command(
    "list",
    epilog=examples(
        ("why the oldest ones died", "fairdispatch dead-letters list"),
        (
            "keep all of a customer, with payloads",
            "fairdispatch dead-letters list acme --all --json --payload > dead.ndjson",
        ),
    ),
)
def list_dead_letters(
    customer: OptionalCustomer = None,
    limit: Limit = 50,
    every: All = False,
    payload: Annotated[bool, typer.Option("--payload", help="Print the payloads too.")] = False,
    as_json: AsNdjson = False,
    broker: Broker = None,
    url: Url = None,
    namespace: Namespace = None,
) -> None:
    """List dead letters, the oldest death first.

    --json prints for each: customer, id, attempts, reason, published_at, died_at, message_id (what the
    producer called it, or null), cost, headers; with --payload also payload, or payload_base64 if it is
    not UTF-8.
    """

    async def list_them(dispatcher: FairDispatcher) -> None:
        headings = ["died at", "customer", "id", "attempts", "reason", *(["payload"] if payload else [])]
        listing = Listing(*(Column(heading, number=heading == "attempts") for heading in headings))
        async for page in pages(
            lambda most, cursor: dispatcher.dead_letters(customer, most, cursor), None if every else limit
        ):
            if as_json:
                for letter in page:
                    print_json(_document(letter, payload))
            else:
                listing.add(_row(letter, payload) for letter in page)

    Target(broker, url, namespace).run(list_them)


def _document(letter: DeadLetter, payload: bool) -> dict[str, object]:
    return {
        "customer": letter.customer,
        "id": letter.id,
        "attempts": letter.attempts,
        "reason": letter.reason,
        "published_at": letter.published_at.isoformat(),
        "died_at": letter.died_at.isoformat(),
        "message_id": letter.message.id,
        "cost": letter.message.cost,
        "headers": dict(letter.message.headers),
        **(payload_fields(letter.message.payload) if payload else {}),
    }


def _row(letter: DeadLetter, payload: bool) -> list[str | int]:
    died_at = f"{letter.died_at:%Y-%m-%d %H:%M:%SZ}"
    row: list[str | int] = [died_at, letter.customer, letter.id, letter.attempts, letter.reason]
    return [*row, letter.message.payload.decode("utf-8", "backslashreplace")] if payload else row


@app.command(
    epilog=examples(
        ("after the cause was mended", "fairdispatch dead-letters redrive acme"),
        ("those of every customer", "fairdispatch dead-letters redrive"),
    ),
)
def redrive(
    customer: OptionalCustomer = None,
    ids: Ids = None,
    as_json: AsJson = False,
    broker: Broker = None,
    url: Url = None,
    namespace: Namespace = None,
) -> None:
    """Make dead letters ready again.

    They come behind what waits already, with the same id and attempt 1.

    --json prints: customer (null for all), redriven.
    """
    _refuse_ids_of_nobody(customer, ids)

    async def redrive_them(dispatcher: FairDispatcher) -> int:
        return await _end(dispatcher, dispatcher.redrive, customer, ids)

    redriven = Target(broker, url, namespace).run(redrive_them)
    _show("redriven", redriven, customer, as_json)


@app.command(
    epilog=examples(
        ("those of a customer, without a question", "fairdispatch dead-letters purge acme --yes"),
        ("one that `list` showed", "fairdispatch dead-letters purge acme --id 1751969524413-0 --yes"),
    ),
)
def purge(
    customer: OptionalCustomer = None,
    ids: Ids = None,
    yes: Yes = False,
    as_json: AsJson = False,
    broker: Broker = None,
    url: Url = None,
    namespace: Namespace = None,
) -> None:
    """Remove dead letters for good.

    Asks first, unless --yes is given.

    --json prints: customer (null for all), purged.
    """
    _refuse_ids_of_nobody(customer, ids)
    target = Target(broker, url, namespace)

    def question() -> str:
        found = len(set(ids)) if ids else target.run(lambda dispatcher: dispatcher.backlog(customer)).dead
        return f"Remove {found:,} dead letters of {_name(customer)} for good?"

    async def purge_them(dispatcher: FairDispatcher) -> int:
        return await _end(dispatcher, dispatcher.purge_dead_letters, customer, ids)

    confirm(yes, question)
    _show("purged", target.run(purge_them), customer, as_json)


def _refuse_ids_of_nobody(customer: str | None, ids: list[str] | None) -> None:
    if ids and customer is None:
        raise typer.BadParameter("name the customer too", param_hint="--id")


async def _end(
    dispatcher: FairDispatcher,
    end: Callable[[str, list[str] | None], Awaitable[int]],
    customer: str | None,
    ids: list[str] | None,
) -> int:
    if customer is not None:
        return await end(customer, ids or None)
    return sum([await end(one, None) async for one in _customers_with_dead_letters(dispatcher)])


async def _customers_with_dead_letters(dispatcher: FairDispatcher) -> AsyncIterator[str]:
    async for page in pages(dispatcher.customers, None):
        for entry in page:
            if entry.backlog.dead:
                yield entry.customer


def _show(what: str, count: int, customer: str | None, as_json: bool) -> None:
    if as_json:
        print_json({"customer": customer, what: count})
    else:
        typer.echo(f"{what} {count:,} dead letters of {_name(customer)}")


def _name(customer: str | None) -> str:
    return "all customers" if customer is None else printable(customer)
