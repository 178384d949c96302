"""What is generated or listed in the repository agrees with what it is made from."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = [Path(package) for package in PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]]
NAME = PROJECT["project"]["name"]
NOT_SHIPPED = {"__pycache__", ".pytest_cache", ".hypothesis"}

IMPORT_EVERYTHING = """
import importlib, pkgutil, sys
for name in sys.argv[1:]:
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(package.__path__, name + "."):
        if not module.name.endswith(".__main__"):
            importlib.import_module(module.name)
    print(package.__file__)
"""

USE_IT = """
import asyncio, broker_core, fair_dispatcher, fair_memory
from broker_core import Message, open_dispatcher
from fair_redis_streams.library import library

async def main():
    async with open_dispatcher(broker="memory", url="memory:") as dispatcher:
        await dispatcher.publish(Message("acme", b"hello"))
        (delivery,) = await dispatcher.receive()
        await dispatcher.ack(delivery)
        print(delivery.customer, delivery.message.payload, delivery.attempt)

asyncio.run(main())
print(library().source.splitlines()[0])
print(broker_core.__file__, fair_dispatcher.__file__, fair_memory.__file__, sep="\\n")
"""


def run(*command: str | Path, **environment: str) -> str:
    finished = subprocess.run(
        [str(part) for part in command],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, f"{command}:\n{finished.stdout}{finished.stderr}"
    return finished.stdout


def shipped_files() -> set[str]:
    return {file for package in PACKAGES for file in files_of(package)}


def files_of(package: Path) -> Iterator[str]:
    for file in (ROOT / package).rglob("*"):
        if file.is_file() and not NOT_SHIPPED & set(file.parts):
            yield f"{package.name}/{file.relative_to(ROOT / package)}"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder)
    (built,) = folder.glob("*.whl")
    return built


def test_wheel_holds_every_file_of_its_packages_and_nothing_else(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == shipped_files()


def test_wheel_holds_what_is_no_python(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {f"{package.name}/py.typed" for package in PACKAGES} <= set(names)
    assert "broker_core/envelope.proto" in names
    assert any(name.endswith(".lua") for name in names)
    assert any(name.endswith("/licenses/LICENSE") for name in names)


def test_installed_wheel_imports_without_the_checkout(wheel: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv")
    python = tmp_path / "venv/bin/python"
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"]
    run(*pip, "install", "-q", "--no-deps", "--no-index", wheel)
    # Only the libraries come from here: an editable install of this project works through a .pth file,
    # which is not read in folders of PYTHONPATH.
    packages = [package.name for package in PACKAGES]
    libraries = sysconfig.get_path("purelib")
    files = run(python, "-P", "-c", IMPORT_EVERYTHING, *packages, PYTHONPATH=libraries).split()
    assert len(files) == len(PACKAGES)
    assert all(Path(file).is_relative_to(tmp_path) for file in files)


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sdist")
    run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", folder)
    (built,) = folder.glob("*.tar.gz")
    return built


def test_sdist_holds_what_the_wheel_is_made_of(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    sources = {str(package.parent / file) for package in PACKAGES for file in files_of(package)}
    assert sources <= names
    others = {name for name in names - sources if not name.startswith(tuple(map(str, PACKAGES)))}
    assert others == {"pyproject.toml", "PKG-INFO", "LICENSE", "README.md", "CHANGELOG.md", ".gitignore"}


def test_installed_sdist_is_used_without_the_checkout(sdist: Path, tmp_path: Path) -> None:
    """In an environment of its own, built there; only the libraries come from here."""
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv")
    python = tmp_path / "venv/bin/python"
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"]
    libraries = sysconfig.get_path("purelib")
    options = ["--no-deps", "--no-index", "--no-build-isolation"]
    run(*pip, "install", "-q", *options, sdist, PYTHONPATH=libraries)
    printed = run(python, "-P", "-c", USE_IT, PYTHONPATH=libraries).splitlines()
    assert printed[0] == "acme b'hello' 1"
    assert printed[1].startswith("#!lua name=fairdispatcher_")
    assert all(Path(file).is_relative_to(tmp_path) for file in printed[2:])
    told = run(tmp_path / "venv/bin/fairdispatch", "version", PYTHONPATH=libraries)
    assert PROJECT["project"]["version"] in told


def test_generated_envelope_is_fresh(tmp_path: Path) -> None:
    output = [f"--python_out={tmp_path}", f"--pyi_out={tmp_path}"]
    run(sys.executable, "-m", "grpc_tools.protoc", "-I.", *output, "broker_core/envelope.proto")
    for generated in ("broker_core/envelope_pb2.py", "broker_core/envelope_pb2.pyi"):
        assert (ROOT / generated).read_text() == (tmp_path / generated).read_text(), "run `make proto`"


def locked() -> dict[str, tuple[Version, Marker | None]]:
    found: dict[str, tuple[Version, Marker | None]] = {}
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        if match := re.match(r"([^ =]+)==([^ ]+)(?: ; (.*?))? \\$", line):
            name, version, marker = match.groups()
            found[canonicalize_name(name)] = (Version(version), Marker(marker) if marker else None)
    return found


def direct_requirements() -> Iterator[Requirement]:
    listed = [PROJECT["build-system"]["requires"], PROJECT["project"]["dependencies"]]
    listed += PROJECT["project"]["optional-dependencies"].values()
    listed += PROJECT["dependency-groups"].values()
    for requirements in listed:
        for requirement in map(Requirement, requirements):
            if requirement.name != NAME:
                yield requirement


def test_lock_answers_every_requirement() -> None:
    versions = locked()
    for requirement in direct_requirements():
        name = canonicalize_name(requirement.name)
        assert name in versions, f"{requirement} is not in requirements.lock: run `make lock`"
        version = versions[name][0]
        assert version in requirement.specifier, f"{requirement}, but locked is {version}: run `make lock`"


def test_lock_is_complete_for_every_python_and_platform() -> None:
    """Whatever installs from the lock gets each direct requirement whose marker holds there."""
    versions = locked()
    for python in ("3.11", "3.12", "3.13"):
        for system, machine in (("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64")):
            there = {"sys_platform": system, "platform_machine": machine, "python_version": python}
            there |= {"python_full_version": f"{python}.9", "platform_python_implementation": "CPython"}
            for requirement in direct_requirements():
                if requirement.marker is None or requirement.marker.evaluate(there):
                    marker = versions[canonicalize_name(requirement.name)][1]
                    assert marker is None or marker.evaluate(there), f"{requirement} on {there}"


def test_lock_has_hashes_and_no_addresses() -> None:
    text = (ROOT / "requirements.lock").read_text()
    assert "://" not in text
    assert all(f"{name}==" in text for name in locked())
    for block in re.split(r"\n(?=\S)", text):
        assert "--hash=sha256:" in block, f"no hash: {block}"


def test_lock_covers_extras_of_all() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    (everything,) = map(Requirement, extras["all"])
    assert everything.extras | {"all", "testing"} == set(extras)


def test_makefile_help_names_every_target_of_the_guide() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z-]+)", (ROOT / "CONTRIBUTING.md").read_text()))
    assert named
    assert named <= targets
