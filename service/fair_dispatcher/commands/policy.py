"""`fairdispatch policy …`: how customers are treated."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from broker_core import CustomerPolicy
from fair_dispatcher.commands.options import AsJson, Broker, Customer, Namespace, Target, Url
from fair_dispatcher.commands.output import Column, Listing, print_json, printable
from fair_dispatcher.usage import examples, show_help

app = typer.Typer(help="Give a customer a larger share, or hold its messages.")
app.callback(invoke_without_command=True)(show_help)


@app.command(
    "set",
    epilog=examples(
        ("three times the share of others", "fairdispatch policy set acme --weight 3"),
        ("keep the messages waiting; publishing goes on", "fairdispatch policy set acme --paused"),
    ),
)
def set_policy(
    customer: Customer,
    weight: Annotated[
        int | None,
        typer.Option(metavar="N", help="Share among the customers that have messages waiting, 1 to 1000."),
    ] = None,
    paused: Annotated[
        bool | None,
        typer.Option("--paused/--no-paused", help="Whether the customer's messages are kept waiting."),
    ] = None,
    as_json: AsJson = False,
    broker: Broker = None,
    url: Url = None,
    namespace: Namespace = None,
) -> None:
    """Replace a customer's policy.

    What is not given is at its default again (weight 1, not paused), whatever the policy said before.
    It counts for all consumers within a second. `policy get` shows it, `policy remove` ends it.
    """
    if weight is None and paused is None:
        raise typer.BadParameter(
            "give at least one; `policy remove` ends a policy", param_hint="--weight, --paused or --no-paused"
        )
    policy = CustomerPolicy(weight=weight, paused=paused)
    Target(broker, url, namespace).run(lambda dispatcher: dispatcher.set_policy(customer, policy))
    _show(customer, policy, as_json)


@app.command(
    "get",
    epilog=examples(
        ("the record of a customer", "fairdispatch policy get acme"),
        ("for machines", "fairdispatch policy get acme --json"),
    ),
)
def get_policy(
    customer: Customer,
    as_json: AsJson = False,
    broker: Broker = None,
    url: Url = None,
    namespace: Namespace = None,
) -> None:
    """Print a customer's policy.

    --json prints: customer, policy (null if there is none, else an object in which null is a default).
    """
    policy = Target(broker, url, namespace).run(lambda dispatcher: dispatcher.get_policy(customer))
    _show(customer, policy, as_json)


@app.command(
    "remove",
    epilog=examples(
        ("back to weight 1 and not paused", "fairdispatch policy remove acme"),
        ("in another namespace", "fairdispatch policy remove acme --namespace sms"),
    ),
)
def remove_policy(
    customer: Customer,
    as_json: AsJson = False,
    broker: Broker = None,
    url: Url = None,
    namespace: Namespace = None,
) -> None:
    """End a customer's policy.

    The defaults apply again. Messages stay.
    """
    Target(broker, url, namespace).run(lambda dispatcher: dispatcher.set_policy(customer, None))
    _show(customer, None, as_json)


def _show(customer: str, policy: CustomerPolicy | None, as_json: bool) -> None:
    fields = None if policy is None else asdict(policy)
    if as_json:
        print_json({"customer": customer, "policy": fields})
    elif fields is None:
        typer.echo(f"{printable(customer)} has no policy: the defaults apply")
    else:
        given = [[name, str(value)] for name, value in fields.items() if value is not None]
        Listing(Column("field"), Column("value")).add(given)
