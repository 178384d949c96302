"""The files of compose/ are valid, safe by default, and start what they say."""

from __future__ import annotations

import importlib.util
import logging
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from compose_spec import PyCompose

from broker_core import Delivery, DispatcherSettings, Message
from broker_core.registry import find_adapter
from broker_core.settings import BROKER_VARIABLE, ENV_PREFIX
from scripts.docs import environment
from scripts.docs.shipped import ROOT, adapters, own_settings

FOLDER = ROOT / "compose"
FILES = ("kafka.yaml", "rabbitmq.yaml", "redis.yaml")
WORKER = "worker"
# In what the workers differ: where the broker is, and what is waited for.
OF_A_BROKER = {"environment", "depends_on"}

each_file = pytest.mark.parametrize("name", FILES)


def example() -> dict[str, str]:
    """The variables that the example of .env sets."""
    lines = (FOLDER / ".env.example").read_text("utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def commented() -> dict[str, str]:
    """The variables that it only shows."""
    text = (FOLDER / ".env.example").read_text("utf-8")
    return dict(re.findall(r"^#([A-Z_]+)=(.*)$", text, re.MULTILINE))


def interpolated(name: str) -> str:
    """The file with the variables of the example; KeyError for one that is missing there."""
    values = example()

    def value_of(found: re.Match[str]) -> str:
        return values.get(found[1], found[2]) if found[2] is not None else values[found[1]]

    text = (FOLDER / name).read_text("utf-8")
    return re.sub(r"\$\{([A-Z_]+)(?::-([^}]*)|:\?[^}]*)?\}", value_of, text)


def services(name: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = PyCompose.from_yaml(interpolated(name)).to_dict()["services"]
    return found


def compose_command() -> list[str] | None:
    """How Docker Compose is called here, None if there is none that knows the specification."""
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]):
            version = subprocess.run([*command, "version", "--short"], capture_output=True, text=True)
            if version.returncode == 0 and int(version.stdout.strip().lstrip("v").split(".")[0]) >= 2:
                return command
    return None


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The folder as somebody has it who followed the first line of a file."""
    folder = tmp_path / "compose"
    shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns(".env", "images"))
    shutil.copy(folder / ".env.example", folder / ".env")
    return folder


def test_every_file_is_checked() -> None:
    assert sorted(file.name for file in FOLDER.glob("*.y*ml")) == list(FILES)


@each_file
def test_the_file_keeps_the_specification(name: str) -> None:
    PyCompose.from_yaml(interpolated(name)).validate()


@each_file
def test_docker_compose_accepts_the_file(name: str, copied: Path) -> None:
    command = compose_command()
    if command is None:
        pytest.skip("no Docker Compose ≥ 2 here: the files were held against the specification only")
    checked = subprocess.run(
        [*command, "-f", copied / name, "config", "--quiet"], capture_output=True, text=True
    )
    assert (checked.returncode, checked.stderr) == (0, "")


@each_file
def test_nothing_is_reached_from_outside(name: str) -> None:
    for service in services(name).values():
        assert all(str(port).startswith("127.0.0.1:") for port in service.get("ports", []))
        assert "network_mode" not in service
        assert not service.get("privileged")


@each_file
def test_every_service_is_limited_watched_and_pinned(name: str) -> None:
    for title, service in services(name).items():
        assert {"mem_limit", "cpus", "healthcheck", "restart", "stop_grace_period"} <= set(service), title
        if title != WORKER:
            assert re.fullmatch(r"[a-z/]+:\d+\.\d+\.\d+", service["image"]), "the tag is a whole version"


@each_file
def test_no_password_stands_in_a_file(name: str) -> None:
    text = (FOLDER / name).read_text("utf-8")
    for variable in re.findall(r"\$\{(\w*PASSWORD\w*)", text):
        assert f"${{{variable}:?" in text, f"{variable} is required, with a message"
    assert not re.search(r"(?im)^ *\w*pass\w*: +[^$ ]", text)


def test_the_workers_differ_by_their_broker_only() -> None:
    workers = [services(name)[WORKER] for name in FILES]
    same = [{key: value for key, value in one.items() if key not in OF_A_BROKER} for one in workers]
    assert same[0] == same[1] == same[2]
    assert same[0]["read_only"] is True
    assert same[0]["cap_drop"] == ["ALL"]


@each_file
def test_a_worker_finds_its_broker(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = services(name)
    (broker,) = set(found) - {WORKER}
    assert found[WORKER]["depends_on"] == {broker: {"condition": "service_healthy"}}
    variables = {**example(), **found[WORKER]["environment"]}
    for variable, value in variables.items():
        monkeypatch.setenv(variable, str(value))
    assert variables["BROKER"] == name.removesuffix(".yaml")
    adapter = find_adapter(variables["BROKER"])
    settings = adapter.settings_type.load()
    adapter(settings)
    assert broker in str(variables)


def test_the_image_is_made_of_files_that_its_context_has() -> None:
    text = (FOLDER / "Dockerfile").read_text("utf-8")
    sources = {
        source
        for line in re.findall(r"^COPY (?!--from)(.*)$", text, re.MULTILINE)
        for source in line.split()[:-1]
    }
    allowed = set(
        re.findall(r"^!(.*)$", (FOLDER / "Dockerfile.dockerignore").read_text("utf-8"), re.MULTILINE)
    )
    assert sources == allowed
    assert all((ROOT / source).exists() for source in sources)
    last = text[text.rindex("\nFROM ") :]
    assert re.search(r"^USER \d+$", last, re.MULTILINE), "the worker isn't root"


async def test_the_handler_works(caplog: pytest.LogCaptureFixture) -> None:
    spec = importlib.util.spec_from_file_location("handlers", FOLDER / "handlers" / "handlers.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    now = datetime.now(UTC)
    with caplog.at_level(logging.INFO):
        await module.handle(Delivery(Message("acme", b"text"), "17", 1, now, now, "receipt"))
    assert "17 of acme, attempt 1, 4 bytes" in caplog.text


def test_settings_of_redis_are_those_of_the_operating_guide() -> None:
    guide = (ROOT / "docs" / "operating-redis.md").read_text("utf-8")
    recommended = dict(re.findall(r"^([a-z-]+) (\S+)$", guide[guide.index("```conf") :], re.MULTILINE))
    command = services("redis.yaml")["redis"]["command"][1:]
    chosen = {name.removeprefix("--"): value for name, value in zip(command[::2], command[1::2], strict=True)}
    assert len(chosen) > 5
    for name in set(chosen) - {"maxmemory", "requirepass"}:
        assert chosen[name] == recommended[name], name


def test_the_example_of_an_environment_is_fresh() -> None:
    assert (FOLDER / ".env.example").read_text("utf-8") == environment.page(), "run `make docs`"


def test_the_example_shows_every_variable_at_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = commented()
    for variable, value in shown.items():
        if value and variable.startswith(ENV_PREFIX):
            monkeypatch.setenv(variable, value)
    for adapter in adapters().values():
        own = {variable for _, variable, _ in own_settings(adapter.settings_type)}
        assert own <= set(shown)
        settings = adapter.settings_type.load()
        for name, field in adapter.settings_type.model_fields.items():
            assert getattr(settings, name) == field.default, name
    assert {ENV_PREFIX + name.upper() for name in DispatcherSettings.model_fields} <= set(shown)
    assert {"REDIS_URL", "RABBITMQ_URL", "KAFKA_BOOTSTRAP_SERVERS", BROKER_VARIABLE} <= set(shown)
