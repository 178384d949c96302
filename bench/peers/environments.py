"""A virtual environment for each peer, made once; the product never sees their packages."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from bench.peers.catalogue import Peer

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(__file__).with_name("programs")


def python_of(peer: Peer) -> Path:
    """Return the interpreter that has the peer's packages; make its environment if there is none."""
    if not peer.packages:
        return Path(sys.executable)
    digest = hashlib.sha256(repr(peer.packages).encode()).hexdigest()[:8]
    folder = ROOT / ".venv-peers" / f"{peer.program}-{digest}"
    python = folder / "bin" / "python"
    if not (folder / ".complete").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        install += ["--ignore-requires-python"] if peer.ignores_python_version else []
        subprocess.run([*install, *peer.packages], check=True)
        (folder / ".complete").touch()
    return python


def versions_of(peer: Peer) -> str:
    """Tell the versions of the peer's packages and of its client of the broker."""
    listed = subprocess.run(
        [str(python_of(peer)), "-m", "pip", "list", "--format=freeze", "--disable-pip-version-check"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    wanted = {package.split("==")[0].split("[")[0].lower() for package in peer.packages}
    wanted |= {"redis", "coredis", "hiredis"}
    return ", ".join(line for line in listed if line.split("==")[0].lower() in wanted)


def command_of(peer: Peer, url: str, total: int, customers: int) -> tuple[list[str], dict[str, str]]:
    """Return how to run the peer's program: command and environment."""
    environment = (
        {**os.environ, "PYTHONPATH": f"{PROGRAMS}{os.pathsep}{ROOT}"}
        if not peer.packages
        else {
            **os.environ,
            "PYTHONPATH": str(PROGRAMS),
        }
    )
    command = [str(python_of(peer)), "-W", "ignore", str(PROGRAMS / f"{peer.program}.py")]
    return [*command, url, str(total), str(customers)], environment
