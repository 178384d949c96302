"""The command line `fairdispatch`."""

from __future__ import annotations

import typer

from fair_dispatcher.commands import backlogs, dead_letters, policy, publish, purge, version
from fair_dispatcher.demo import cli as demo
from fair_dispatcher.keys import command as keys
from fair_dispatcher.serve import command as serve
from fair_dispatcher.usage import Commands, examples, exit_code_list, show_help
from fair_dispatcher.work import command as work

app = typer.Typer(
    help="Divides the messages of many customers fairly among consumers.",
    epilog=examples(
        ("see it work, on a server of its own", "fairdispatch demo"),
        ("let a broker be known to every command", "export BROKER=redis REDIS_URL=redis://127.0.0.1:6379/0"),
        ("how many messages are where", "fairdispatch backlog"),
    )
    + exit_code_list(),
    cls=Commands,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.callback(invoke_without_command=True)(show_help)
for group in (work.app, serve.app, publish.app, backlogs.app, purge.app, version.app, demo.app):
    app.add_typer(group)
app.add_typer(keys.app, name="keys")
app.add_typer(policy.app, name="policy")
app.add_typer(dead_letters.app, name="dead-letters")
