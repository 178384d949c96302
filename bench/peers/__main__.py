"""Measures peers and product in turn, each time on an empty server: `python -m bench.peers --help`."""

from __future__ import annotations

import json
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
from bench.peers import peer_servers, redis_limit
from bench.peers.catalogue import BARE, PEERS, PRODUCT, Peer
from bench.peers.environments import command_of, versions_of
from tests.servers.interface import ServerAbsent

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


def main(
    only: Annotated[list[str] | None, typer.Option(help="Programs; all if left out.")] = None,
    server: Annotated[list[str] | None, typer.Option(help="Servers; all if left out.")] = None,
    repeat: Annotated[int, typer.Option(min=1)] = 5,
    scale: Annotated[float, typer.Option(min=0.001, max=1)] = 1.0,
    customers: Annotated[int, typer.Option(min=1)] = 1000,
    json_file: Annotated[Path | None, typer.Option("--json", help="Where to write the result.")] = None,
) -> None:
    """Measure in turn, `repeat` times, print a table, write JSON.

    The variable NEWEST_REDIS_SERVER is the command of a Redis 8.6 or newer, for the peer that needs it.
    A server that is absent is named, and its peers are left out.
    """
    console = Console(width=None if sys.stdout.isatty() else 140)
    chosen = [
        peer for peer in PEERS if (not only or peer.program in only) and (not server or peer.server in server)
    ]
    facts: dict[str, object] = {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine.describe(),
        "customers": customers,
        "scale": scale,
        "versions": {peer.key: versions_of(peer) for peer in chosen},
    }
    rates: Rates = {program: [] for program in (LIMIT, *(peer.key for peer in chosen))}
    seen: dict[str, str] = {}
    absent: dict[str, str] = {}
    for repetition in range(repeat):
        with peer_servers.redis() as limit:
            rates[LIMIT].append({"publish": redis_limit.measure(limit.url)})
        for peer in chosen:
            if peer.key in absent:
                continue
            console.print(f"[dim]{peer.label} {repetition + 1}/{repeat} …", highlight=False)
            try:
                with peer_servers.running_for(peer) as running:
                    seen[peer.key] = running.version
                    rates[peer.key].append(measure(peer, running, scale, customers))
            except ServerAbsent as reason:
                absent[peer.key] = str(reason)
    show(rates, chosen, seen, absent, console)
    result = {**facts, "servers": seen, "absent": absent, "summary": summary(rates, chosen), "raw": rates}
    path = json_file or Path(__file__).parents[1] / "results" / "peers.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    console.print(f"written to {path}")


def summary(rates: Rates, chosen: list[Peer]) -> dict[str, float]:
    """Return medians, and the ratios that decide, repetition by repetition."""
    figures = {
        f"{key} {step}": statistics.median(one[step] for one in found)
        for key, found in rates.items()
        for step in ("publish", "consume")
        if found and step in found[0]
    }

    def ratio(step: str, key: str, other: str) -> None:
        if rates.get(key) and rates.get(other):
            pairs = zip(rates[key], rates[other], strict=True)
            figures[f"{step}: {key} over {other}"] = statistics.median(a[step] / b[step] for a, b in pairs)

    ratio("publish", PRODUCT, LIMIT)
    if published := [peer.key for peer in chosen if peer.published and rates[peer.key]]:
        ratio("consume", PRODUCT, max(published, key=lambda key: figures[f"{key} consume"]))
    for key, other in BARE:
        ratio("publish", key, other)
        ratio("consume", key, other)
    return figures


def show(
    rates: Rates, chosen: list[Peer], seen: dict[str, str], absent: dict[str, str], console: Console
) -> None:
    """Print the table."""
    table = Table(title="publish, and consume until acked, messages a second", title_justify="left")
    for heading in ("", "publish", "consume", "lowest – highest", "fair", "recovers", "server"):
        table.add_column(heading, justify="left" if heading in {"", "server"} else "right")
    for peer in chosen:
        if not (found := rates[peer.key]):
            table.add_row(peer.label, absent.get(peer.key, ""))
            continue
        consumed = [one["consume"] for one in found]
        table.add_row(
            peer.label,
            f"{statistics.median(one['publish'] for one in found):,.0f}",
            f"{statistics.median(consumed):,.0f}",
            f"{min(consumed):,.0f} – {max(consumed):,.0f}",
            "yes" if peer.fair else "no",
            "yes" if peer.recovers else "no",
            seen[peer.key],
        )
    limit = statistics.median(one["publish"] for one in rates[LIMIT])
    table.add_row("redis-benchmark XADD, pipeline 100, one stream", f"{limit:,.0f}")
    console.print(table)
    for name, value in summary(rates, chosen).items():
        if " over " in name:
            console.print(f"{name}: {value:.3g}", highlight=False)


if __name__ == "__main__":
    typer.run(main)
