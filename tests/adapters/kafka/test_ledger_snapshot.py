"""Snapshots fit into records, and what is restored goes on the same way."""

from __future__ import annotations

import random

import pytest

from broker_core.adapter import Verb
from broker_core.model import CustomerPolicy
from fair_kafka.ledger import commands as c
from fair_kafka.ledger.pieces import MOST_BYTES, complete_snapshots, cut
from fair_kafka.ledger.snapshot import UnusableSnapshot, export_snapshot, restore_snapshot
from fair_kafka.ledger.snapshot_pb2 import Snapshot
from fair_kafka.ledger.state import Ledger
from tests.adapters.kafka.ledger_driver import A, B, Driver


def busy(rng: random.Random, steps: int) -> Driver:
    """A log of everything: waiting receives, sequences out of order, moves, shared partitions."""
    driver = Driver().begin(partitions=3, max_partitions=3, quantum=3)
    driver.open(B, quantum=2, dedup_window_ms=50, max_partitions=3)
    held = []
    for _ in range(steps):
        driver.now_ms += rng.choice([0, 1, 7])
        customer = rng.choice("abcdefg")
        dice = rng.random()
        if dice < 0.4:
            keys = [str(rng.randrange(50)) for _ in range(3)] if rng.random() < 0.3 else []
            driver.publish(customer, 3, rng.randint(1, 9), keys)
        elif dice < 0.6:
            session, wait_ms = rng.choice([A, B]), rng.choice([0, 40])
            command = c.Receive(session, driver.sequence(session), rng.randint(1, 8), 30, wait_ms)
            held += [message for answer in driver.append(command) for message in answer.outcome.messages]  # type: ignore[union-attr]
        elif dice < 0.8 and held:
            rng.shuffle(held)
            some, held = held[:4], held[4:]
            driver.settle(rng.choice(list(Verb)), some, rng.choice([0, 20]), "why")
        elif dice < 0.85 and held:
            target = c.Ref(c.Topic.RETRY, rng.randrange(2), len(driver.log))
            driver.do(c.Relocate, (c.Move(held[0].serial, held[0].ref, target),))
        elif dice < 0.9:
            policy = rng.choice([None, CustomerPolicy(weight=4), CustomerPolicy(paused=True)])
            driver.do(c.SetPolicy, customer, policy)
        elif dice < 0.91:
            for every in "abcdefg":
                driver.do(c.Purge, every)
        elif dice < 0.93:
            driver.do(c.EndDeadLetters, customer, None, redrive=True)
        elif dice < 0.96:
            driver.sequence()  # of a command that never comes
            driver.do(c.Clean, 0, rng.randrange(3), 10_000)
        else:
            driver.do(c.Janitor, 20, session=rng.choice([A, B]))
    return driver


@pytest.mark.parametrize("seed", range(12))
def test_snapshot_and_the_rest_of_the_log_are_as_good_as_the_whole(seed: int) -> None:
    rng = random.Random(seed)
    log = busy(rng, 250).log
    whole, cut_at = Ledger(), rng.randrange(len(log))
    expected = []
    for record in log:
        if record[0] == cut_at:
            snapshot = export_snapshot(whole)
        expected.append(whole.apply_record(*record))
    restored = restore_snapshot(snapshot)
    assert restored.applied_offset == cut_at - 1
    assert export_snapshot(restored) == snapshot
    for record in log:
        got = restored.apply_record(*record)
        assert got == (expected[record[0]] if record[0] >= cut_at else [])
    assert export_snapshot(restored) == export_snapshot(whole)
    assert restored.cleanable() == whole.cleanable()
    assert restored.next_due_ms() == whole.next_due_ms()
    assert restored.pins(0, 100) == whole.pins(0, 100)


def test_every_field_of_a_snapshot_is_used_by_a_busy_log() -> None:
    """So that the test above can see what is missing."""
    used: set[str] = set()
    for seed in range(12):
        replica = Ledger()
        for record in busy(random.Random(seed), 250).log:
            replica.apply_record(*record)
            if record[0] % 10 == 0:
                fields = Snapshot.FromString(export_snapshot(replica)).ListFields()
                used |= {field.name for field, _ in fields}
    assert used == set(Snapshot.DESCRIPTOR.fields_by_name)


def test_an_empty_ledger_has_a_snapshot() -> None:
    restored = restore_snapshot(export_snapshot(Ledger()))
    assert (restored.applied_offset, restored.now_ms) == (-1, 0)


@pytest.mark.parametrize("data", [b"", b"garbage", Snapshot(format=2).SerializeToString()])
def test_other_bytes_are_no_snapshot(data: bytes) -> None:
    with pytest.raises(UnusableSnapshot):
        restore_snapshot(data)


def test_pieces_fit_into_records_and_come_together_again() -> None:
    rng = random.Random(1)
    first, second = rng.randbytes(2_500_000), rng.randbytes(10)
    pieces = [*cut(7, first), *cut(8, second), *cut(9, first)[:-1], b"\xff garbage"]
    assert len(cut(7, first)) == 3
    assert all(len(piece) <= MOST_BYTES for piece in pieces)
    rng.shuffle(pieces)
    assert sorted(complete_snapshots(pieces)) == [(7, first), (8, second)]


def test_a_large_backlog_makes_a_small_snapshot() -> None:
    driver = Driver().begin()
    for _ in range(100):
        driver.publish("a", 200)
    assert len(export_snapshot(driver.ledger)) < 100 * 40 + 500
