"""Tells where and with what a measurement was made."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("fair-dispatcher", "redis", "hiredis", "aio-pika", "aiokafka", "protobuf", "uvloop")


def describe() -> dict[str, str | int]:
    """Return the facts of this machine, interpreter and checkout."""
    return {
        "cpu": _first(Path("/proc/cpuinfo"), r"model name\s*: (.*)") or platform.processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 0,
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": ", ".join(f"{name} {_version(name)}" for name in PACKAGES),
        "commit": _commit(),
        "server_files_on": _filesystem(Path(tempfile.gettempdir()).resolve()),
        "load_before": f"{os.getloadavg()[0]:.2f}",
    }


def _first(file: Path, pattern: str) -> str:
    found = re.search(pattern, file.read_text()) if file.exists() else None
    return found[1] if found else ""


def _filesystem(folder: Path) -> str:
    """Return the type of the filesystem that the folder is on."""
    mounts = Path("/proc/mounts")
    if not mounts.exists():
        return "unknown"
    types = {fields[1]: fields[2] for fields in map(str.split, mounts.read_text().splitlines())}
    return next(types[str(place)] for place in (folder, *folder.parents) if str(place) in types)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def _commit() -> str:
    asked = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12"], capture_output=True, text=True, check=False
    )
    return asked.stdout.strip() or "no checkout"
