"""`fairdispatch keys`: makes, lists and revokes API keys."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from broker_core.errors import ConfigurationError
from broker_core.settings import SERVICE_PREFIX
from fair_dispatcher.commands.options import AsJson, AsNdjson
from fair_dispatcher.commands.output import Column, Listing, print_json, printable
from fair_dispatcher.keys.model import Key, Scope, check_key, id_of, make_token
from fair_dispatcher.runtime import EXIT_FAILED, exit_codes, needs_extra, say
from fair_dispatcher.usage import Commands, examples, show_help

if TYPE_CHECKING:
    from fair_dispatcher.keys.file import KeyFile

FILE_VARIABLE = f"{SERVICE_PREFIX}KEY_FILE"
_DURATION = re.compile(r"([1-9][0-9]{0,5})([smhd])")
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

File = Annotated[
    Path | None,
    typer.Option("--file", metavar="FILE", help=f"The file of keys; else the variable {FILE_VARIABLE}."),
]

app = typer.Typer(help="Make, list and revoke API keys of the HTTP service.", cls=Commands)
app.callback(invoke_without_command=True)(show_help)


@app.command(
    epilog=examples(
        (
            "for a program that publishes for one customer",
            "fairdispatch keys create --scope publish --customer acme --file keys.json",
        ),
        ("for consumers", "fairdispatch keys create --scope consume --note 'sms gateway' --file keys.json"),
    )
)
def create(
    scope: Annotated[list[Scope], typer.Option(help="What it is for; may be repeated.")],
    customer: Annotated[
        list[str] | None,
        typer.Option(metavar="CUSTOMER", help="Bind it to this customer; may be repeated. Not with consume."),
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="When it ends: 90d, 12h, 30m, or a time with zone in ISO 8601."),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            max=1e9,
            help="Requests and published messages a second, over all processes of a `serve`.",
        ),
    ] = None,
    note: Annotated[str, typer.Option(help="What people should know of it.")] = "",
    file: File = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it: this once, since only its hash is kept.

    Running services know it within two seconds. To rotate a key, make another, hand it out, revoke the old.
    """
    with exit_codes():
        check_key(scope, customer)
        now = datetime.now(UTC).replace(microsecond=0)
        token, id_, digest = make_token()
        key = Key(
            id=id_,
            digest=digest,
            scopes=frozenset(scope),
            customers=None if customer is None else frozenset(customer),
            created=now,
            expires=None if expires is None else _moment(expires, now),
            rate=rate,
            note=note,
        )
        _file(file).add(key)
        if as_json:
            print_json({"key": token, **_document(key)})
        else:
            typer.echo(token)


@app.command(
    "list",
    epilog=examples(
        ("who may do what", "fairdispatch keys list --file keys.json"),
        ("for machines", "fairdispatch keys list --json --file keys.json"),
    ),
)
def list_keys(file: File = None, as_json: AsNdjson = False) -> None:
    """List the keys, without their secrets."""
    with exit_codes():
        keys = _file(file).keys()
        if as_json:
            for key in keys:
                print_json(_document(key))
            return
        listing = Listing(
            *(Column(name) for name in ("ID", "SCOPES", "CUSTOMERS", "CREATED", "EXPIRES", "RATE", "NOTE"))
        )
        now = datetime.now(UTC)
        listing.add(
            (
                key.id,
                " ".join(sorted(key.scopes)),
                "all" if key.customers is None else printable(" ".join(sorted(key.customers))),
                key.created.isoformat(),
                "never"
                if key.expires is None
                else key.expires.isoformat() + ("" if key.is_live(now) else " (over)"),
                "default" if key.rate is None else f"{key.rate:g}/s",
                printable(key.note),
            )
            for key in keys
        )


@app.command(
    epilog=examples(
        ("the key whose token begins with fd_0123456789ab", "fairdispatch keys revoke 0123456789ab"),
        ("in a file that no variable names", "fairdispatch keys revoke ba9876543210 --file keys.json"),
    )
)
def revoke(
    id_: Annotated[
        str,
        typer.Argument(metavar="ID", help="The key's id, as `list` shows it; the whole key does as well."),
    ],
    file: File = None,
) -> None:
    """Take a key out of force; running services refuse it within two seconds."""
    with exit_codes():
        if not _file(file).revoke(id_of(id_)):
            say("there is no key with that id")
            raise typer.Exit(EXIT_FAILED)


def _file(path: Path | None) -> KeyFile:
    with needs_extra("http"):
        from fair_dispatcher.keys.file import KeyFile
    if path is None:
        given = os.environ.get(FILE_VARIABLE)
        if not given:
            raise ConfigurationError(f"--file is missing, and {FILE_VARIABLE} is not set")
        path = Path(given)
    return KeyFile(path)


def _moment(text: str, now: datetime) -> datetime:
    match = _DURATION.fullmatch(text)
    if match is not None:
        return now + timedelta(seconds=int(match[1]) * _UNIT_SECONDS[match[2]])
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = now
    if moment.tzinfo is None or moment <= now:
        raise ConfigurationError(
            f"--expires is {text!r}: it has to be 90d, 12h, 30m or 10s, or a time in the future with its zone"
        )
    return moment.astimezone(UTC)


def _document(key: Key) -> dict[str, object]:
    return {
        "id": key.id,
        "scopes": sorted(key.scopes),
        "customers": None if key.customers is None else sorted(key.customers),
        "created": key.created.isoformat(),
        "expires": None if key.expires is None else key.expires.isoformat(),
        "rate": key.rate,
        "note": key.note,
    }
