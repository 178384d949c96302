"""Where the tests' brokers come from: the choice alone, and what is read out of servers' answers."""

from __future__ import annotations

import asyncio
import hashlib
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from broker_core.conformance.polling import Deadline
from tests.servers.amqp_wire import texts_of_start
from tests.servers.external import ExternalServer, external
from tests.servers.images import Engine, choose_image
from tests.servers.interface import BrokerServer, ServerAbsent, at
from tests.servers.kafka_jars import differences, kafka_version
from tests.servers.kafka_node import version_in
from tests.servers.kafka_wire import metadata_level
from tests.servers.products import PRODUCTS, Product
from tests.servers.sources import Sources, help_text

_ENDS_WITHIN_SECONDS = 0.3
REDIS8 = PRODUCTS["redis8"]


def a_server(where: str) -> Callable[[Product], BrokerServer]:
    return lambda product: ExternalServer(product.kind, f"redis://{where}")


def no(reason: str) -> Callable[[Product], BrokerServer]:
    def make(product: Product) -> BrokerServer:
        raise ServerAbsent(reason)

    return make


def no_image(product: Product) -> str:
    raise ServerAbsent("no engine")


def some_sources(*, image: Callable[[Product], str] = no_image) -> Sources:
    return Sources(
        external=a_server("external"),
        image=image,
        container=lambda product, image: a_server("container")(product),
        local=a_server("local"),
    )


@pytest.mark.parametrize(
    ("choice", "host", "origin"),
    [
        ("external", "external", "external, by REDIS_URL"),
        ("containers", "container", "container of redis:8"),
        ("local", "local", "local"),
        ("auto", "container", "container of redis:8"),
    ],
)
def test_a_choice_is_kept(choice: str, host: str, origin: str) -> None:
    found = some_sources(image=lambda product: product.image).find(REDIS8, choice)
    assert (found.server.host, found.origin) == (host, origin)


def test_auto_goes_on_with_local_and_says_why() -> None:
    found = some_sources().find(REDIS8, "auto")
    assert (found.server.host, found.origin) == ("local", "local, since no engine")


def test_containers_never_become_local() -> None:
    with pytest.raises(ServerAbsent, match="no engine"):
        some_sources().find(REDIS8, "containers")


def test_auto_without_anything_is_absent() -> None:
    sources = Sources(no("unset"), no_image, lambda product, image: a_server("")(product), no("no program"))
    with pytest.raises(ServerAbsent, match="no program"):
        sources.find(REDIS8, "auto")


class FakeRegistry:
    """Images that an engine has, and those that it can pull."""

    def __init__(self, has: Sequence[str], pulls: Sequence[str] = ()) -> None:
        self.has = list(has)
        self.pulls = pulls

    def pull(self, image: str) -> None:
        if image not in self.pulls:
            raise ServerAbsent(f"can't pull {image}")
        self.has.append(image)

    def choose(self, **environment: str) -> str:
        engine = Engine(
            has=lambda image: image in self.has,
            matching=lambda pattern: [image for image in self.has if image.startswith(pattern.rstrip("*"))],
            pull=self.pull,
        )
        image = choose_image(REDIS8, engine, environment)
        assert image in self.has
        return image


BUILT = ["fair-dispatcher-test/redis:8.2", "fair-dispatcher-test/redis:7.0-debian"]


def test_the_official_image_comes_first() -> None:
    assert FakeRegistry(["redis:8", *BUILT]).choose() == "redis:8"


def test_a_built_image_spares_pulling() -> None:
    assert FakeRegistry(BUILT, pulls=["redis:8"]).choose() == "fair-dispatcher-test/redis:8.2"


def test_an_image_that_is_missing_is_pulled() -> None:
    assert FakeRegistry([], pulls=["redis:8"]).choose() == "redis:8"
    with pytest.raises(ServerAbsent, match="redis:8"):
        FakeRegistry([]).choose()


def test_a_mirror_has_the_same_images_under_its_prefix() -> None:
    name = "mirror.example/hub/redis:8"
    assert FakeRegistry([], pulls=["redis:8", name]).choose(TEST_IMAGE_PREFIX="mirror.example/hub/") == name


def test_an_image_that_is_named_is_the_only_one() -> None:
    with pytest.raises(ServerAbsent, match="mine:1"):
        FakeRegistry(["redis:8", *BUILT]).choose(TEST_IMAGE_REDIS8="mine:1")
    assert FakeRegistry(["mine:1"]).choose(TEST_IMAGE_REDIS8="mine:1", TEST_IMAGE_PREFIX="no/") == "mine:1"


def test_an_external_server_is_where_its_variable_says() -> None:
    server = external(PRODUCTS["kafka"], {"KAFKA_BOOTSTRAP_SERVERS": "one:9000,two:9001"})
    assert (server.host, server.port) == ("one", 9000)
    with pytest.raises(ServerAbsent, match="KAFKA_BOOTSTRAP_SERVERS"):
        external(PRODUCTS["kafka"], {"REDIS_URL": "redis://somewhere"})


def test_an_external_server_that_does_not_answer_is_absent() -> None:
    with pytest.raises(ServerAbsent, match=r"127\.0\.0\.1:1 "):
        ExternalServer("rabbitmq", "amqp://127.0.0.1:1/").start()


def test_an_external_server_is_never_ended() -> None:
    server = ExternalServer("redis", "redis://127.0.0.1/")
    assert not server.restartable
    with pytest.raises(NotImplementedError):
        server.kill()


def test_the_help_names_every_variable() -> None:
    text = help_text(PRODUCTS)
    for name in ("REDIS_URL", "VALKEY_URL", "RABBITMQ_URL", "KAFKA_BOOTSTRAP_SERVERS"):
        assert name in text


def test_another_address_keeps_the_rest_of_a_url() -> None:
    assert at("redis://user:pass@host:1/2?x=y", "::1", 3) == "redis://user:pass@[::1]:3/2?x=y"
    assert at("amqp://host/", "127.0.0.1", 5) == "amqp://127.0.0.1:5/"


def test_texts_of_a_greeting() -> None:
    def entry(name: str, kind: bytes, value: bytes) -> bytes:
        return bytes([len(name)]) + name.encode() + kind + value

    def long(value: bytes) -> bytes:
        return len(value).to_bytes(4) + value

    inner = long(entry("nothing", b"t", b"\x01"))
    told = [("capabilities", b"F", inner), ("flag", b"t", b"\x00"), ("version", b"S", long(b"4.0"))]
    table = b"".join(entry(*one) for one in told)
    assert texts_of_start(b"\x00\x0a\x00\x0a\x00\x09" + long(table) + long(b"PLAIN")) == {"version": "4.0"}


def test_the_level_that_holds_is_the_last_one_told() -> None:
    possible = b"\x11metadata.version" + (7).to_bytes(2) + (33).to_bytes(2)
    finalized = b"\x11metadata.version" + (29).to_bytes(2) + (29).to_bytes(2)
    assert metadata_level(b"head" + possible + b"between" + finalized + b"\x00") == 29
    assert metadata_level(b"an older broker") is None


def test_a_log_tells_the_version() -> None:
    assert version_in("INFO Kafka version: 4.9.1 (AppInfoParser)\n") == "kafka 4.9.1"


def test_jars_are_compared_with_their_checksums(tmp_path: Path) -> None:
    for name in ("same.jar", "changed.jar", "additional.jar"):
        (tmp_path / name).write_bytes(name.encode())
    digest = hashlib.sha256(b"same.jar").hexdigest()
    checksums = f"{digest}  same.jar\n{digest}  changed.jar\n{digest}  missing.jar\n"
    assert differences(tmp_path, checksums) == ["additional.jar", "changed.jar", "missing.jar"]


def test_the_checksums_are_those_of_the_version() -> None:
    lines = (Path(__file__).parents[1] / "servers" / "kafka" / "jars.sha256").read_text()
    assert f"  kafka_2.13-{kafka_version()}.jar\n" in lines


_STARTS_A_SERVER = """
import sys, threading
from pathlib import Path
from tests.servers.child import spawn
folder = Path(sys.argv[1])
servers = []
def start():
    servers.append(spawn(["sleep", "60"], {"PATH": "/usr/bin:/bin"}, folder, folder / "log"))
    while Path(f"/proc/{servers[0].pid}/comm").read_text() != "sleep\\n":
        pass
thread = threading.Thread(target=start)
thread.start()
thread.join()
print(servers[0].pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs the kernel's signal at the death of a parent")
async def test_a_server_dies_with_the_tests_and_not_with_a_thread_of_them(
    tmp_path: Path, deadline: Deadline
) -> None:
    with a_run_with_a_server(tmp_path) as tests:
        assert tests.stdout is not None
        server = Path("/proc", tests.stdout.readline().decode().strip(), "stat")
        await asyncio.sleep(_ENDS_WITHIN_SECONDS)
        assert not ended(server)
        tests.kill()
        tests.wait(10)
    await deadline.until(lambda: ended(server), "the end of the server")


def a_run_with_a_server(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", _STARTS_A_SERVER, folder],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def ended(stat: Path) -> bool:
    """Tell whether a process is gone, or is but waiting for somebody to ask after it."""
    try:
        return stat.read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True
