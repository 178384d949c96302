"""The page that tells which test shows what: broken variants, fault switches, faults, invariants."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence

from broker_core.conformance import suite
from scripts.docs.faults import FAULTS, INVARIANTS, NOT_SHOWN
from tests.conformance import redis_faults
from tests.conformance.test_the_suite_itself import RED
from tests.faults import invariants

_INTRODUCTION = """\
# What is proven, and by which test

<!-- Made by `make docs` from the tests' own declarations; change those. -->

A test that can't fail proves nothing. So adapters are broken on purpose, each in one way, and for each there
is a named test that has to turn red; the same test has to pass on the sound adapter. All of it runs in
`make test`, what takes longer in `make test-full`.
"""
_VARIANTS = """\
## Broken brokers in memory

Variants of the memory adapter ([tests/conformance/broken.py](../tests/conformance/broken.py)) show that the
contract's suite finds what it is there to find.
"""
_SWITCHES = """\
## Fault switches of the adapter for Redis

Each rewrites the source of a server function or of a module before it is used
([tests/conformance/redis_faults.py](../tests/conformance/redis_faults.py)). To see one:
`pytest -p tests.conformance.redis_faults --redis-fault no_recovery tests/conformance/test_redis7.py`.
"""
_MODEL = """\
## The same as the model

The memory adapter is small enough to be read. Hypothesis drives it and Redis with the same random commands,
among them crashes, leases that end, answers that are lost and calls that are cancelled, and compares every
hand-over, count, policy and dead letter; another property checks the bound of fair sharing in every interval.
Short runs repeat the same commands, longer ones print the seed that repeats theirs (`--fault-seed`).

| property | test |
|---|---|
"""
_FAULTS = """\
## Faults

| what happens | what has to hold | tests |
|---|---|---|
"""
_INVARIANTS = """\
## Invariants

Where many things go wrong at once, every process records each call and its outcome, and the merged history is
checked afterwards. The checker itself is given bad histories, one of each kind.

| | what has to hold | tests |
|---|---|---|
"""
_NOT_SHOWN = """\
## What no test here shows

"""
_PROPERTIES = {
    "any commands have the same effects, in the same order": (
        "tests/stateful/test_commands.py::test_same_as_the_model"
    ),
    "hand-overs come in the model's order, for thousands of random steps": (
        "tests/adapters/redis_streams/test_same_order_as_model.py::test_random_commands"
    ),
    "served/weight differs by no more than the bound in any interval": (
        "tests/stateful/test_fairness.py::test_the_bound_holds_in_every_interval"
    ),
}


def page() -> str:
    """Make the page."""
    parts = [
        _INTRODUCTION,
        _VARIANTS,
        _table("variant | what is wrong with it | test that turns red", _variants()),
        _SWITCHES,
        _table("switch | what is wrong then | test that turns red", _switches()),
        _MODEL + _rows([[what, _link(test)] for what, test in _PROPERTIES.items()]),
        _FAULTS + _rows([[one.happens, one.holds, _links(one.tests)] for one in FAULTS]),
        _INVARIANTS + _rows(_invariants()),
        _NOT_SHOWN + "".join(f"- {one}\n" for one in NOT_SHOWN),
    ]
    return "\n".join(parts)


def named_tests() -> Iterator[str]:
    """Yield the node id of every test that the page names, as file::test or file::Class::test."""
    yield from (_node_of(test) for _, test in RED)
    yield from (_node_of_switch(fault.red) for fault in redis_faults.FAULTS.values())
    yield from _PROPERTIES.values()
    yield from (test for one in FAULTS for test in one.tests)
    yield from (test for tests in INVARIANTS.values() for test in tests)


def checked_invariants() -> Mapping[str, str]:
    """Return number → text of the invariants that the checker's own page lists."""
    listed = (inspect.getdoc(invariants) or "").split("\n\n")[1]
    return dict(re.findall(r"^(I\d+) +(.+)$", listed, re.MULTILINE))


def _variants() -> Iterator[Sequence[str]]:
    for kind, test in RED:
        yield f"`{kind.__name__}`", _first_line(kind), _link(_node_of(test))


def _switches() -> Iterator[Sequence[str]]:
    for name, fault in redis_faults.FAULTS.items():
        yield f"`{name}`", fault.does, _link(_node_of_switch(fault.red))


def _invariants() -> Iterator[Sequence[str]]:
    texts = checked_invariants()
    for number, tests in INVARIANTS.items():
        yield number, texts[number], _links(tests)


def _node_of(test: object) -> str:
    module, name = getattr(test, "__module__", ""), getattr(test, "__qualname__", "")
    return f"{module.replace('.', '/')}.py::{name.replace('.', '::')}"


def _node_of_switch(red: str) -> str:
    """Name the test where it is written: the contract's tests are run in the module of a server."""
    file, _, rest = red.partition("[")[0].partition("::")
    if file != redis_faults.CONTRACT:
        return f"{file}::{rest}"
    kind, _, name = rest.partition("::")
    return _node_of(getattr(getattr(suite, kind), name))


def _first_line(kind: type) -> str:
    return (inspect.getdoc(kind) or "").splitlines()[0].rstrip(".")


def _link(node: str) -> str:
    file, name = node.split("::", 1)
    return f"[`{name.rpartition('::')[2]}`](../{file})"


def _links(nodes: Sequence[str]) -> str:
    return ", ".join(map(_link, nodes))


def _table(heading: str, rows: Iterator[Sequence[str]]) -> str:
    return f"| {heading} |\n|{'---|' * (heading.count('|') + 1)}\n{_rows(rows)}"


def _rows(rows: Iterator[Sequence[str]] | Sequence[Sequence[str]]) -> str:
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
