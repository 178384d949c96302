"""Writes recorded results as Markdown: `python -m bench.summary > docs/benchmarks/README.md`."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bench import report
from bench.peers.catalogue import PEERS
from bench.recorded import newest

HEAD = """# What was measured

Written by `python -m bench.summary`; measured by `make bench-full`, which can be broken off and resumed, and
with `ARGS="--only …"` measures some of the files. They go to a folder of the day, which stays as it is:
decision records quote it. This page shows the newest of each file. Machines differ: ratios count more than
rates, and the figures of one file belong together.

Each case runs in a new process with an empty server of its own; the cases of a scenario alternate, brokers
included. A message that was lost or came twice fails the run. Rates count from the first publish to the last
ack, the making of messages included.
"""
ABOUT = {
    "redis7.json": "`python -m bench.full --only redis7`: scenarios of Redis alone",
    "brokers.json": "`python -m bench.full --only brokers`: scenarios that run on all three",
    "peers.json": "`make bench-peers`: other queue libraries and bare clients in the same run",
    "kafka-100-customers.json": "`python -m bench.peers --server kafka --customers 100`",
    "rabbitmq-1000-customers.json": "`python -m bench.peers --server rabbitmq --repeat 3`",
    "http.json": "`python -m bench.http.service`: one process of `fairdispatch serve` with a Redis beside it",
    "frameworks.json": "`python -m bench.http.frameworks`: POSTs of one small message, no broker behind",
    "scale.json": "`make bench-scale`: what a queue or a partition for each customer costs",
    "simplicity.json": "`python -m bench.restart`: starting, restarting, and what there is to run",
    "estimate.json": "`python -m bench.estimate`: memory of a day's messages, and hours that 128 GiB hold",
    "envelope.json": "`python -m bench.envelope`: ways to write a message",
    "schedulers.json": "`python -m bench.schedulers`: after Shreedhar and Varghese, SIGCOMM 1995; no broker",
    "quantum.json": "`python -m bench.quantum`: what a small or a large quantum costs; 1,000 customers",
    "redis-memory.json": "`python -m bench.redis_memory`: growth of used_memory for each message",
    "redis-writes.json": "`python -m bench.redis_writes`: growth of the append-only file for each message",
    "kafka-idle-consumer.json": "`python -m bench.kafka_idle_consumer`: seconds until both consumers work",
}
APART = {"machine", "raw", "versions", "servers", "settings", "absent"}
_MOST_COLUMNS = 8
Cell = float | str | bool | None


def page() -> Iterator[str]:
    """Yield the Markdown of the newest files, in the order of ABOUT."""
    yield HEAD
    for name, about in ABOUT.items():
        if (file := newest(name)) is not None:
            yield f"## [{name}]({file.parent.name}/{name})\n"
            yield f"{about}.\n"
            yield from lines_of(json.loads(file.read_text("utf-8")), name)
            yield ""


def lines_of(recorded: Mapping[str, Any], name: str) -> Iterator[str]:
    """Yield where it was measured, and the tables."""
    if facts := recorded.get("machine"):
        yield (
            f"{facts['cpu']}, {facts['cores']} cores, {facts['memory_gib']} GiB, {facts['kernel']}; "
            f"Python {facts['python']}, {facts['packages']}; commit {facts['commit']}, "
            f"{recorded.get('started', 'no date')}; load before {facts['load_before']}"
            + (f"; servers' files on {files}." if (files := facts.get("server_files_on")) else ".")
        )
    if settings := recorded.get("settings"):
        yield ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in settings.items()) + "."
    if "customers" in recorded and "summary" in recorded and "servers" in recorded:
        yield from _peers(recorded)
        return
    for result in recorded.get("results", ()):
        yield from _figures(result) if "figures" in result else _steps(result)
    yield from _plain({key: value for key, value in recorded.items() if key not in {*APART, "results"}})


def _figures(result: Mapping[str, Any]) -> Iterator[str]:
    described = ", ".join(filter(None, (result["server"], result.get("server_described"))))
    yield f"\n**{result['scenario']}**: {result['about']}. {described}.\n"
    yield from _table(
        ("", "median", "lowest – highest", "n", "to show"),
        (
            (
                figure["label"],
                f"{report.number(figure['median'])} {figure['unit']}".strip(),
                f"{report.number(min(figure['values']))} – {report.number(max(figure['values']))}",
                str(len(figure["values"])),
                report.target(figure["at_least"], figure["at_most"]),
            )
            for figure in result["figures"]
        ),
    )


def _steps(growth: Mapping[str, Any]) -> Iterator[str]:
    yield f"\n**{growth['kind']}** of {growth['server']}. {growth['ended']}.\n"
    names = list(growth["steps"][0]) if growth["steps"] else []
    rows = ([_text(step[name]) for name in names] for step in growth["steps"])
    yield from _table([name.replace("_", " ") for name in names], rows)


def _peers(recorded: Mapping[str, Any]) -> Iterator[str]:
    labels = {peer.key: peer for peer in PEERS}
    yield f"\n{recorded['customers']:,} customers; messages: part {recorded['scale']:g} of the full size.\n"
    rows = []
    for key, found in recorded["raw"].items():
        peer = labels.get(key)
        if not found:
            continue
        consumed = [one["consume"] for one in found if "consume" in one]
        rows.append(
            (
                peer.label if peer else "redis-benchmark XADD, pipeline 100, one stream",
                ", ".join(peer.packages) if peer else "",
                recorded["servers"].get(key, ""),
                report.number(statistics.median(one["publish"] for one in found)),
                report.number(statistics.median(consumed)) if consumed else "",
                f"{report.number(min(consumed))} – {report.number(max(consumed))}" if consumed else "",
                str(len(found)),
                "yes" if peer and peer.fair else "",
                "yes" if peer and peer.recovers else "",
            )
        )
    heading = (
        "",
        "packages",
        "server",
        "publish/s",
        "consume + ack/s",
        "lowest – highest",
        "n",
        "fair",
        "recovers",
    )
    yield from _table(heading, rows)
    yield ""
    ratios = ((name, report.number(value)) for name, value in recorded["summary"].items() if " over " in name)
    yield from _table(("ratio, median of the repetitions", ""), ratios)


def _plain(data: Mapping[str, Any], title: str = "") -> Iterator[str]:
    """Tables of records that are named figures: a row for each that has others beside it."""
    facts = {key: value for key, value in data.items() if _is_cell(value) and key != "started"}
    rows = {key: value for key, value in data.items() if isinstance(value, dict)}
    if title:
        yield f"\n**{title}**"
    if facts:
        yield (
            "\n" + ", ".join(f"{key.replace('_', ' ')} {_text(value)}" for key, value in facts.items()) + "."
        )
    if rows and all(_is_cell(cell) for row in rows.values() for cell in row.values()):
        columns = list(dict.fromkeys(name for row in rows.values() for name in row))
        yield ""
        if len(columns) > _MOST_COLUMNS:
            cells = ([name, *(_text(row.get(name)) for row in rows.values())] for name in columns)
            yield from _table(("", *rows), cells)
        else:
            yield from _table(
                ("", *(name.replace("_", " ") for name in columns)),
                ([key, *(_text(row.get(name)) for name in columns)] for key, row in rows.items()),
            )
        return
    for key, row in rows.items():
        yield from _plain(row, key if key not in {"summary", "ways"} else "")


def _is_cell(value: object) -> bool:
    if isinstance(value, list):
        return bool(value) and all(isinstance(one, int | float) for one in value)
    return value is None or isinstance(value, int | float | str)


def _text(value: Cell | Sequence[float]) -> str:
    if isinstance(value, list):
        value = statistics.median(value)
    if isinstance(value, int | float):
        return report.number(value)
    return "–" if value is None else str(value)


def _table(headings: Sequence[str], rows: Iterator[Sequence[str]] | Sequence[Sequence[str]]) -> Iterator[str]:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    yield line(headings)
    yield "|---" * len(headings) + "|"
    for row in rows:
        yield line(row)


def main() -> None:
    """Print the page."""
    print("\n".join(page()).rstrip())


if __name__ == "__main__":
    main()
