"""A table that processes share: what one writes all see, whoever is killed in the middle."""

from __future__ import annotations

import itertools
import os
import signal
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from broker_core.errors import ConfigurationError
from fair_dispatcher.http.shared_table import KEY_BYTES, Known, SharedTable, make_table

COUNTS_UP = """
import struct, sys
from fair_dispatcher.http.shared_table import SharedTable
table = SharedTable(int(sys.argv[1]), 8)
count = lambda known: (struct.pack("<q", 1 + (struct.unpack("<q", known[0])[0] if known else 0)), 9e9)
print("begun", flush=True)
for _ in range(int(sys.argv[2])):
    assert table.update(b"k" * 16, 0.0, count)
"""


def key(number: int) -> bytes:
    return number.to_bytes(KEY_BYTES, "big")


def known(table: SharedTable, of: bytes, now: float = 0.0) -> Known | None:
    found: list[Known | None] = []
    assert table.update(of, now, found.append)
    return found[0]


def counting(file: int, times: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", COUNTS_UP, str(file), str(times)], pass_fds=(file,), stdout=subprocess.PIPE
    )


def test_changes_of_several_processes_do_not_get_lost() -> None:
    file = make_table(1000, 8)
    table = SharedTable(file, 8)
    processes = [counting(file, 3000) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    found = known(table, b"k" * KEY_BYTES)
    assert found is not None
    assert struct.unpack("<q", found[0])[0] == 9000
    for process in processes:
        process.communicate()
    table.close()
    table.close()


def test_who_is_killed_holds_up_nobody() -> None:
    file = make_table(1000, 8)
    table = SharedTable(file, 8)
    for _ in range(3):
        with counting(file, 10**9) as process:
            assert process.stdout is not None
            process.stdout.readline()
            os.kill(process.pid, signal.SIGKILL)
        found = known(table, b"k" * KEY_BYTES)
        # Either the last count, or nothing, if it was killed while it wrote.
        assert found is None or struct.unpack("<q", found[0])[0] > 0


def test_who_is_stopped_while_it_writes_holds_up_others_for_a_moment_only() -> None:
    file = make_table(8, 8)
    table = SharedTable(file, 8)
    holds = (
        "import fcntl, sys, time; fcntl.lockf(int(sys.argv[1]), fcntl.LOCK_EX); "
        "print('held', flush=True); time.sleep(600)"
    )
    command = [sys.executable, "-c", holds, str(file)]
    with subprocess.Popen(command, pass_fds=(file,), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert not table.update(key(1), 0.0, lambda _: (b"x", 9e9))
        process.kill()
    assert known(table, key(1)) is None


def test_an_entry_ends_with_its_time_and_can_be_changed_and_forgotten() -> None:
    table = SharedTable(make_table(1000, 4), 4)
    assert table.update(key(1), 100.0, lambda _: (b"one", 110.0))
    assert known(table, key(1), 109.9) == (b"one\0", 110.0)
    assert known(table, key(2), 109.9) is None
    assert table.update(key(1), 105.0, lambda _: (b"two", 120.0))
    assert known(table, key(1), 119.0) == (b"two\0", 120.0)
    assert known(table, key(1), 120.0) is None
    assert table.update(key(1), 119.0, lambda _: (b"", 0.0))
    assert known(table, key(1), 119.0) is None


def test_a_full_table_forgets_what_would_end_first() -> None:
    table = SharedTable(make_table(8, 4), 4)
    for number in range(8):
        table.update(key(number), 0.0, lambda _, number=number: (b"x", 100.0 + number))  # type: ignore[misc]
    table.update(key(5), 0.0, lambda _: (b"y", 50.0))
    table.update(key(8), 0.0, lambda _: (b"x", 200.0))
    there = [number for number in itertools.chain(range(9)) if known(table, key(number)) is not None]
    assert there == [0, 1, 2, 3, 4, 6, 7, 8]


def test_a_file_keeps_its_entries_and_its_size(tmp_path: Path) -> None:
    path = tmp_path / "table"
    table = SharedTable(make_table(1000, 4, path), 4)
    table.update(key(1), 0.0, lambda _: (b"one", 9e9))
    table.close()
    size_bytes = path.stat().st_size
    table = SharedTable(make_table(5000, 4, path), 4)
    assert known(table, key(1)) == (b"one\0", 9e9)
    assert path.stat().st_size == size_bytes
    with pytest.raises(ConfigurationError, match="no table of this release"):
        make_table(1000, 8, path)
