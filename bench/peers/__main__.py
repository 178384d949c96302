"""Measures peers and product in turn, each time on an empty server: `python -m bench.peers --help`."""

from __future__ import annotations

import json
import os
import shlex
import statistics
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from bench import machine, servers
from bench.peers import redis_limit
from bench.peers.catalogue import PEERS, PRODUCT, Peer
from bench.peers.environments import command_of, versions_of

NEWEST_REDIS_VARIABLE = "NEWEST_REDIS_SERVER"
SECONDS = 300
LIMIT = "redis-benchmark"

Rates = dict[str, list[dict[str, float]]]


def measure(peer: Peer, server: servers.RunningServer, scale: float, customers: int) -> dict[str, float]:
    """Return publish and consume rates; exit when a message was lost or came twice."""
    total = max(1000, round(peer.total * scale))
    command, environment = command_of(peer, server.url, total, customers)
    done = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, text=True, timeout=SECONDS, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"{peer.label} failed; see above")
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    if figures["lost"] or figures["duplicated"]:
        raise SystemExit(f"{peer.label} did not deliver exactly once: {figures}")
    return figures


def command_for(peer: Peer) -> list[str] | None:
    """Return another server's command, for a peer that needs one; None if there is none."""
    return shlex.split(os.environ.get(NEWEST_REDIS_VARIABLE, "")) or None if peer.newest_redis else []


def main(
    only: Annotated[list[str] | None, typer.Option(help="Programs; all if left out.")] = None,
    repeat: Annotated[int, typer.Option(min=1)] = 5,
    scale: Annotated[float, typer.Option(min=0.001, max=1)] = 1.0,
    customers: Annotated[int, typer.Option(min=1)] = 1000,
    json_file: Annotated[Path | None, typer.Option("--json", help="Where to write the result.")] = None,
) -> None:
    """Measure in turn, `repeat` times, print a table, write JSON.

    The variable NEWEST_REDIS_SERVER is the command of a Redis 8.6 or newer, for the peer that needs it.
    """
    console = Console(width=None if sys.stdout.isatty() else 140)
    chosen = [peer for peer in PEERS if not only or peer.program in only]
    settings = servers.ServerSettings(kind="redis7", append_only="no", node_bytes=512)
    facts: dict[str, object] = {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine.describe(),
        "customers": customers,
        "scale": scale,
        "versions": {peer.program: versions_of(peer) for peer in chosen},
    }
    rates: Rates = {program: [] for program in (LIMIT, *(peer.program for peer in chosen))}
    seen: dict[str, str] = {}
    absent: dict[str, str] = {}
    for repetition in range(repeat):
        with servers.running(settings) as server:
            rates[LIMIT].append({"publish": redis_limit.measure(server.url)})
        for peer in chosen:
            program = command_for(peer)
            if program is None:
                absent[peer.program] = f"set {NEWEST_REDIS_VARIABLE} to the command of a Redis ≥ 8.6"
                continue
            console.print(f"[dim]{peer.label} {repetition + 1}/{repeat} …", highlight=False)
            with servers.running(settings, program=program) as server:
                seen[peer.program] = server.version
                rates[peer.program].append(measure(peer, server, scale, customers))
    show(rates, chosen, seen, absent, console)
    result = {**facts, "servers": seen, "absent": absent, "summary": summary(rates, chosen), "raw": rates}
    path = json_file or Path(__file__).parents[1] / "results" / "peers.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    console.print(f"written to {path}")


def summary(rates: Rates, chosen: list[Peer]) -> dict[str, float]:
    """Return medians, and the ratios that decide, repetition by repetition."""
    medians = {
        f"{program} {name}": statistics.median(one[name] for one in found)
        for program, found in rates.items()
        if found
        for name in ("publish", "consume")
        if name in found[0]
    }
    if PRODUCT in rates:
        ours = rates[PRODUCT]
        medians["publish of the product over redis-benchmark"] = statistics.median(
            one["publish"] / limit["publish"] for one, limit in zip(ours, rates[LIMIT], strict=True)
        )
        published = [peer.program for peer in chosen if peer.published and rates[peer.program]]
        if published:
            fastest = max(published, key=lambda program: medians[f"{program} consume"])
            medians[f"consume of the product over {fastest}, the fastest published library"] = (
                statistics.median(
                    one["consume"] / other["consume"] for one, other in zip(ours, rates[fastest], strict=True)
                )
            )
    return medians


def show(
    rates: Rates, chosen: list[Peer], seen: dict[str, str], absent: dict[str, str], console: Console
) -> None:
    """Print the table."""
    table = Table(title="publish, and consume until acked, messages a second", title_justify="left")
    for heading in ("", "publish", "consume", "lowest – highest", "fair", "recovers", "server"):
        table.add_column(heading, justify="left" if heading in {"", "server"} else "right")
    for peer in chosen:
        if not (found := rates[peer.program]):
            table.add_row(peer.label, absent.get(peer.program, ""))
            continue
        consumed = [one["consume"] for one in found]
        table.add_row(
            peer.label,
            f"{statistics.median(one['publish'] for one in found):,.0f}",
            f"{statistics.median(consumed):,.0f}",
            f"{min(consumed):,.0f} – {max(consumed):,.0f}",
            "yes" if peer.fair else "no",
            "yes" if peer.recovers else "no",
            seen[peer.program],
        )
    limit = statistics.median(one["publish"] for one in rates[LIMIT])
    table.add_row("redis-benchmark XADD, pipeline 100, one stream", f"{limit:,.0f}")
    console.print(table)
    for name, value in summary(rates, chosen).items():
        if " over " in name:
            console.print(f"{name}: {value:.3g}", highlight=False)


if __name__ == "__main__":
    typer.run(main)
