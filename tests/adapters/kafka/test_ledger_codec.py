"""Commands survive being written down, and bytes that no dispatcher wrote are told apart."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker_core.adapter import Verb
from broker_core.errors import InvalidArgument
from broker_core.model import CustomerPolicy
from fair_kafka.ledger import commands as c
from fair_kafka.ledger import ledger_pb2 as pb
from fair_kafka.ledger.codec import NewerRecord, decode, encode, join
from fair_kafka.ledger.receipts import held_of, id_of, receipt_of, serial_of
from fair_kafka.ledger.runs import ProducedRecord, runs_of
from fair_kafka.ledger.values import UndecodableRecord
from tests.adapters.kafka.ledger_driver import A, Driver

ROOT = Path(__file__).resolve().parents[3]
KEY = b"0123456789abcdef"
HELD = (c.Held(2**64 - 1, 7, (1, 2**60)), c.Held(0, 1, (5,)))
REF = c.Ref(c.Topic.MESSAGES, 3, 2**40)
EVERY_COMMAND: list[c.Command] = [
    c.Open(2**64 - 1, 1, 10, 5, 300_000, 86_400_000, 4000, 16, 12),
    c.Close(1, 2),
    c.Tick(1, 2**40),
    c.AssignPartitions(1, 3, ("a", "ü"), share=True),
    c.PartitionsAdded(1, 4, 48),
    c.Publish(
        1, 5, (c.PublishEntry("a", 1, 2, 2**40, 2, 9, (KEY, KEY)), c.PublishEntry("b", 0, 0, 0, 200, 1))
    ),
    c.Publish(1, 5, (c.PublishEntry("a", 1, 2, 3, 200, 1_000_000),)),
    c.Receive(1, 6, 100, 30_000, 500),
    c.Revoke(1, 7, 6),
    c.Settle(1, 8, Verb.ACK, HELD),
    c.Settle(1, 8, Verb.NACK, HELD, 2500, "smsc busy"),
    c.Settle(1, 8, Verb.RELEASE, HELD),
    c.Settle(1, 8, Verb.DEAD_LETTER, HELD, 0, "bad number"),
    c.Extend(1, 9, HELD, 30_000),
    c.SetPolicy(1, 10, "a", CustomerPolicy(weight=3, paused=False)),
    c.SetPolicy(1, 10, "a", CustomerPolicy(paused=True)),
    c.SetPolicy(1, 10, "a", None),
    c.Purge(1, 11, "a"),
    c.EndDeadLetters(1, 12, "a", None, redrive=True),
    c.EndDeadLetters(1, 12, "a", (), redrive=False),
    c.EndDeadLetters(1, 12, "a", (4, 5), redrive=False),
    c.Vanished(1, 13, (c.Gone(4, REF),)),
    c.Undecodable(1, 14, HELD),
    c.Relocate(1, 15, (c.Move(4, REF, c.Ref(c.Topic.RETRY, 0, 5)),)),
    c.Clean(1, 16, c.Topic.DEAD_LETTERS, 0, 77, orphans=True),
    c.Janitor(1, 17, 15_000),
]


@pytest.mark.parametrize("command", EVERY_COMMAND, ids=lambda command: type(command).__name__)
def test_a_command_comes_back_as_it_was(command: c.Command) -> None:
    assert decode(join([encode(command)])) == [command]


def test_every_kind_of_command_is_covered() -> None:
    kinds = {kind.__name__ for kind in c.Command.__subclasses__()}
    assert {type(command).__name__ for command in EVERY_COMMAND} == kinds
    assert len(pb.Command.DESCRIPTOR.oneofs_by_name["body"].fields) == len(kinds)


def test_a_record_holds_many_commands_in_order() -> None:
    assert decode(join(map(encode, EVERY_COMMAND))) == EVERY_COMMAND
    assert decode(join([])) == []


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"garbage",
        b"\xff" * 30,
        encode(c.Tick(1, 1)),  # without the head of a record
        join([pb.Record(commands=[pb.Command(publish=pb.Publish())]).SerializeToString()]),
    ],
)
def test_bytes_that_no_dispatcher_wrote_only_let_time_pass(data: bytes) -> None:
    with pytest.raises(UndecodableRecord):
        decode(data)
    driver = Driver().begin()
    driver.publish("a")
    backlog = driver.ledger.backlog()
    driver.ledger.apply_record(100, driver.now_ms + 5, data)
    assert driver.ledger.undecodable_records == 1
    assert (driver.ledger.applied_offset, driver.ledger.now_ms) == (100, driver.now_ms + 5)
    assert driver.ledger.backlog() == backlog


def publish(**columns: object) -> bytes:
    good: dict[str, object] = {
        "customers": ["a"],
        "partitions": [0],
        "epochs": [0],
        "base_offsets": [0],
        "sizes": [2],
        "costs": [1],
    }
    message = pb.Publish(**(good | columns))  # type: ignore[arg-type]
    return join([pb.Record(commands=[pb.Command(publish=message)]).SerializeToString()])


@pytest.mark.parametrize(
    "columns",
    [
        {"customers": []},
        {"customers": ["a", "b"]},
        {"sizes": [0]},
        {"sizes": [1 << 24]},
        {"costs": [1 << 20]},
        {"partitions": [1 << 19]},
        {"base_offsets": [1 << 62]},
        {"keyed": [0], "keys": KEY},
        {"keyed": [1], "keys": KEY * 2},
        {"keyed": [], "keys": KEY * 3, "sizes": []},
    ],
)
def test_runs_that_cannot_be_are_refused_as_a_whole(columns: dict[str, object]) -> None:
    assert len(decode(publish())) == 1
    with pytest.raises(UndecodableRecord):
        decode(publish(**columns))


@pytest.mark.parametrize(
    "command",
    [
        c.Clean(1, 1, 3, 0, 0),
        c.Vanished(1, 1, (c.Gone(1, c.Ref(3, 0, 0)),)),
        c.PartitionsAdded(1, 1, 1 << 20),
        c.SetPolicy(1, 1, "a", CustomerPolicy(weight=0)),
        c.Open(1, 1, 0, 1, 1, 1, 1),
        c.Open(1, 1, 1, 1, 1, 1, 0),
        c.Open(1, 1, 1, 1, 1, 1, 1, 0),
    ],
)
def test_values_that_no_dispatcher_writes_are_refused(command: c.Command) -> None:
    """Applied, they would stop every replica for ever."""
    with pytest.raises(UndecodableRecord):
        decode(join([encode(command)]))


def test_what_a_later_version_wrote_stops_this_one() -> None:
    """To skip it would let replicas differ."""
    with pytest.raises(NewerRecord):
        decode(pb.Record(format=2).SerializeToString())
    with pytest.raises(NewerRecord):
        decode(join([pb.Record(commands=[pb.Command(session=1)]).SerializeToString()]))
    unknown_verb = pb.Command(settle=pb.Settle(held=[pb.Held()]))
    with pytest.raises(NewerRecord):
        decode(join([pb.Record(commands=[unknown_verb]).SerializeToString()]))


def test_generated_code_is_fresh(tmp_path: Path) -> None:
    folder = Path("fair_kafka/ledger")
    sources = [str(folder / name) for name in ("ledger.proto", "snapshot.proto")]
    command = [
        "-m",
        "grpc_tools.protoc",
        "-I.",
        f"--python_out={tmp_path}",
        f"--pyi_out={tmp_path}",
        *sources,
    ]
    subprocess.run([sys.executable, *command], cwd=ROOT / "adapters", check=True)
    for name in ("ledger_pb2.py", "ledger_pb2.pyi", "snapshot_pb2.py", "snapshot_pb2.pyi"):
        fresh = (tmp_path / folder / name).read_text()
        assert (ROOT / "adapters" / folder / name).read_text() == fresh, "run `make proto`"


@given(
    records=st.lists(
        st.tuples(
            st.sampled_from("ab"),
            st.integers(0, 1),
            st.integers(0, 1),
            st.integers(0, 3),
            st.integers(1, 2),
            st.sampled_from([None, KEY]),
        )
    )
)
def test_runs_name_each_record_once_and_in_order(
    records: list[tuple[str, int, int, int, int, bytes | None]],
) -> None:
    produced = [ProducedRecord(*record) for record in records]
    runs = runs_of(produced)
    back = [
        ProducedRecord(
            run.customer,
            run.partition,
            run.epoch,
            run.base_offset + place,
            run.cost,
            run.keys[place] if run.keys else None,
        )
        for run in runs
        for place in range(run.size)
    ]
    assert back == produced
    assert all(not run.keys or len(run.keys) == run.size for run in runs)


def test_neighbours_become_one_run() -> None:
    records = [ProducedRecord("a", 1, 2, offset, 3) for offset in range(200)]
    assert runs_of(records) == (c.PublishEntry("a", 1, 2, 0, 200, 3),)


# Receipts and ids.


def test_receipts_come_back_grouped_by_their_receive() -> None:
    receipts = [
        receipt_of(A, 1, 5 << 24),
        receipt_of(A, 2, 5 << 24 | 1),
        receipt_of(A, 1, 10**10 << 24),
    ]
    assert held_of(receipts) == (c.Held(A, 1, (5 << 24, 10**10 << 24)), c.Held(A, 2, (5 << 24 | 1,)))
    assert receipt_of(2**64 - 1, 3, 7 << 24 | 9) == "kafka.ffffffffffffffff.3.7-9"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "kafka",
        "kafka.ffffffffffffffff.3.7",
        "memory.a.1-1-0:a",
        "kafka.ffffffffffffffff.3.7-16777216",
        "kafka.ffffffffffffffff.3.7-9\n",
        "kafka.FFFFFFFFFFFFFFFF.3.7-9",
        "kafka.ffffffffffffffff.٣.7-9",
    ],
)
def test_other_texts_are_no_receipts(text: str) -> None:
    with pytest.raises(InvalidArgument):
        held_of([text])


def test_ids_rise_and_name_their_serial() -> None:
    assert id_of(3 << 24 | 5) == "3-5"
    assert serial_of("3-5") == 3 << 24 | 5
    assert [serial_of(text) for text in ("", "3", "3-16777216", "a-b", "3-5 ")] == [None] * 5
