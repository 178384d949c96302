"""Steps of growing, and what is measured at each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

STEPS = (1_000, 5_000, 10_000, 25_000, 50_000, 100_000)
MOST_BYTES = 10 * 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How far to go. seconds: of making, without restarts. restart_seconds: how long to wait for one."""

    most: int
    seconds: float
    restart_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One size that was reached.

    made_per_second: in this step alone. resident_bytes: of the server's processes. bytes_each: growth since
    the empty server by what exists. restart_seconds: from the kill until all serve again;
    None if that took longer than was waited for.
    """

    count: int
    made_per_second: float
    resident_bytes: int
    bytes_each: float
    disk_bytes: int
    open_files: int
    restart_seconds: float | None

    def with_restart(self, seconds: float) -> Self:
        """Return it with what the restart took."""
        return replace(self, restart_seconds=seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """All steps of one kind; ended: why there are no more."""

    kind: str
    server: str
    steps: Sequence[Step]
    ended: str

    def with_step(self, step: Step) -> Self:
        """Return it with one more step."""
        return replace(self, steps=(*self.steps, step))

    def ending(self, why: str) -> Self:
        """Return it with why there are no more steps."""
        return replace(self, ended=why)

    def as_dict(self) -> dict[str, object]:
        """Return it as JSON takes it."""
        return {"kind": self.kind, "server": self.server, "ended": self.ended} | {
            "steps": [asdict(step) for step in self.steps]
        }


def resident_bytes(pid: int) -> int:
    """Return what a process and its children hold in memory."""
    total = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        except OSError:
            continue
        if int(fields["Pid"]) == pid or int(fields["PPid"]) == pid:
            total += int(fields.get("VmRSS", "0 kB").split()[0]) * 1024
    return total


def open_files(pid: int) -> int:
    """Count a process's open files."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def disk_bytes(folder: Path) -> int:
    """Return what the files of a folder take of the disk."""
    return sum(file.lstat().st_blocks * 512 for file in folder.rglob("*") if not file.is_symlink())
