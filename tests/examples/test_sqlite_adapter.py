"""The example of an adapter keeps the contract when it is installed as somebody else's package would be."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2] / "examples" / "sqlite_adapter"
# What a file hasn't got: a server to restart, a connection to cut, a password, code of a release inside.
LACKING = {"restartable", "proxy", "credentials", "releases"}
SECONDS = 600

WHERE_IT_IS = """
from broker_core.registry import find_adapter
print(__import__(find_adapter("sqlite").__module__).__file__)
"""


def run(*command: str | Path, folder: Path, **environment: str) -> str:
    finished = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout
    return finished.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sqlite") / "installed"
    options = ("-q", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check")
    run(sys.executable, "-m", "pip", "install", *options, "--target", folder, ".", folder=PROJECT)
    return folder


@pytest.mark.timeout(SECONDS)
def test_the_example_keeps_the_contract(installed: Path, pytestconfig: pytest.Config) -> None:
    # -P: what counts is what was installed, not what lies in the working folder.
    python = (sys.executable, "-P")
    found = run(*python, "-c", WHERE_IT_IS, folder=PROJECT, PYTHONPATH=str(installed))
    assert Path(found.strip()).is_relative_to(installed)

    size = pytestconfig.getoption("--conformance-size")
    suite = ("-m", "pytest", "-q", f"--conformance-size={size}", f"--basetemp={installed.parent / 'files'}")
    output = run(*python, *suite, folder=PROJECT, PYTHONPATH=str(installed))
    passed = re.search(r"^(\d+) passed", output, re.MULTILINE)
    assert passed is not None, output
    assert int(passed[1]) > 140, output
    skipped = re.findall(r"^SKIPPED .*: not offered: (.*)$", output, re.MULTILINE)
    assert len(skipped) == output.count("SKIPPED"), output
    assert {need for needs in skipped for need in needs.split(", ")} <= LACKING, output


def test_every_file_of_the_example_is_explained() -> None:
    readme = (PROJECT / "README.md").read_text("utf-8")
    unlisted = {"__init__.py", "py.typed", "README.md"}
    for file in PROJECT.rglob("*"):
        if file.is_file() and file.suffix != ".pyc" and file.name not in unlisted:
            assert file.name in readme, f"{file.name} is not in the table"
