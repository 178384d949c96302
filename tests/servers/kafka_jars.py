"""Apache Kafka's jars, fetched once by Maven into a cache outside of the work tree, and checked.

`python -m tests.servers.kafka_jars` fetches them and prints the folder.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

from tests.servers.interface import ServerAbsent

_HERE = Path(__file__).parent / "kafka"
_POM = _HERE / "pom.xml"
_CHECKSUMS = _HERE / "jars.sha256"
_FETCH_SECONDS = 600


def kafka_version() -> str:
    """Return the version that pom.xml asks for."""
    found = ElementTree.parse(_POM).getroot().findtext("{*}version")
    assert found is not None
    return found


def kafka_jars() -> Path:
    """Return the folder of the jars, fetched if need be; ServerAbsent with the reason if that fails."""
    if shutil.which("java") is None:
        raise ServerAbsent("Java is not installed (Debian: apt-get install default-jre-headless)")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fair-dispatcher-test"
    # The checksums name the folder: other jars are another folder.
    digest = hashlib.sha256(_CHECKSUMS.read_bytes()).hexdigest()[:12]
    jars = cache / f"kafka-{kafka_version()}-{digest}"
    if not jars.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with (cache / "kafka.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not jars.exists():
                _fetch(jars)
    return jars


def _fetch(jars: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise ServerAbsent("Maven is not installed, which fetches Kafka (Debian: apt-get install maven)")
    arriving = jars.with_name(f"{jars.name}.arriving")
    shutil.rmtree(arriving, ignore_errors=True)
    done = subprocess.run(
        [
            *(maven, "--quiet", "--batch-mode", "--strict-checksums", "--file", _POM),
            *("dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={arriving}"),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_FETCH_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise ServerAbsent(f"Maven could not fetch Kafka {kafka_version()}:\n{done.stdout[-2000:]}")
    differing = differences(arriving, _CHECKSUMS.read_text())
    if differing:
        raise ServerAbsent(f"{arriving} differs from {_CHECKSUMS.name} in {', '.join(differing)}")
    arriving.rename(jars)


def differences(folder: Path, checksums: str) -> list[str]:
    """Name the files that are missing, additional or changed; checksums are lines as of sha256sum."""
    wanted = {name: digest for digest, name in (line.split() for line in checksums.splitlines())}
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    return sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))


if __name__ == "__main__":
    try:
        print(kafka_jars())
    except ServerAbsent as absent:
        sys.exit(str(absent))
