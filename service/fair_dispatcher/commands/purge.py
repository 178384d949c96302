"""`fairdispatch purge`."""

from __future__ import annotations

import typer

from fair_dispatcher.commands.confirming import confirm
from fair_dispatcher.commands.options import AsJson, Broker, Customer, Namespace, Target, Url, Yes
from fair_dispatcher.commands.output import print_json, printable
from fair_dispatcher.usage import examples

app = typer.Typer()


@app.command(
    epilog=examples(
        ("without a question", "fairdispatch purge acme --yes"),
        ("in another namespace", "fairdispatch purge acme --namespace sms --yes"),
    )
)
def purge(
    customer: Customer,
    yes: Yes = False,
    as_json: AsJson = False,
    broker: Broker = None,
    url: Url = None,
    namespace: Namespace = None,
) -> None:
    """Remove a customer's messages for good.

    Ready, delayed and leased ones. Asks first, unless --yes is given. Dead letters stay
    (`dead-letters purge`), a policy too (`policy remove`). Consumers that are at work on a leased message
    lose its lease.

    --json prints: customer, purged.
    """
    target = Target(broker, url, namespace)

    def question() -> str:
        found = target.run(lambda dispatcher: dispatcher.backlog(customer))
        return (
            f"Remove {found.ready:,} ready, {found.delayed:,} delayed and {found.leased:,} leased messages "
            f"of {printable(customer)} for good?"
        )

    confirm(yes, question)
    purged = target.run(lambda dispatcher: dispatcher.purge(customer))
    if as_json:
        print_json({"customer": customer, "purged": purged})
    else:
        typer.echo(f"purged {purged:,} messages of {printable(customer)}")
