"""An Idempotency-Key counts in all processes of a service, whichever of them it comes to."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import httpx
import pytest

from broker_core import Message
from broker_core.conformance.polling import Deadline
from fair_dispatcher.http.idempotency import VALUE_BYTES, Idempotency
from fair_dispatcher.http.problems import Problem
from fair_dispatcher.http.shared_table import SharedTable, make_table
from tests.service.over_http.brokers import Place
from tests.service.over_http.inside import NDJSON, problem
from tests.service.over_http.serving import Serving, refused, serving

MESSAGES = "/v1/customers/acme/messages"
ENDED_PID = 1 << 22  # above the largest that Linux gives


async def ask(client: httpx.AsyncClient, key: str, payload: bytes) -> httpx.Response:
    """Send one on a connection of its own, which any process may take."""
    headers = {"idempotency-key": key, "connection": "close"}
    return await client.post(MESSAGES, content=payload, headers=headers)


async def ask_until_answered_by(
    served: Serving, client: httpx.AsyncClient, key: str, payload: bytes, count: int, deadline: Deadline
) -> list[httpx.Response]:
    """Repeat it until so many processes have answered it."""
    answers: list[httpx.Response] = []

    async def answered_by_enough() -> bool:
        answers.extend(await asyncio.gather(*(ask(client, key, payload) for _ in range(8))))
        asked = {answer.headers["x-request-id"] for answer in answers}
        lines = [line for line in served.run.events("answered") if line["request_id"] in asked]
        return len({line["process"] for line in lines}) >= count

    await deadline.until(answered_by_enough, f"answers by {count} processes")
    return answers


async def conflicts(client: httpx.AsyncClient, key: str) -> bool:
    """Another message under the key is refused, singly and in a batch."""
    single = await ask(client, key, b"another")
    lines = b'{"customer": "acme", "payload": "third", "idempotency_key": "%s"}' % key.encode()
    batch = await client.post("/v1/messages", content=lines, headers={**NDJSON, "connection": "close"})
    return problem(single) == "idempotency-key-reused" and "idempotency-key-reused" in batch.text


@pytest.mark.each_broker("redis", "rabbitmq")
async def test_every_process_refuses_another_message_and_repeats_the_first_id(
    on_each: Place, tmp_path: Path, deadline: Deadline
) -> None:
    with serving(on_each, tmp_path, "--processes", "2", "--log-level", "debug") as served:
        async with served.client(deadline, count=2) as client, on_each.dispatcher() as dispatcher:
            first = await ask(client, "k", b"one")
            answers = await ask_until_answered_by(served, client, "k", b"one", 2, deadline)
            assert {answer.status_code for answer in answers} == {202}
            assert {answer.json()["id"] for answer in answers} == {first.json()["id"]}
            answers = await ask_until_answered_by(served, client, "k", b"two", 2, deadline)
            assert {problem(answer) for answer in answers} == {"idempotency-key-reused"}
            # Whoever answered it first ends, by force or in turn: the others and the new ones know it.
            for pid in served.run.ready_pids():
                os.kill(pid, signal.SIGKILL)
            await served.run.until_ready(4, deadline)
            assert await conflicts(client, "k")
            served.run.send(signal.SIGHUP)
            await served.run.until_logged("all worker processes are new", deadline)
            assert await conflicts(client, "k")
            assert (await ask(client, "k", b"one")).json() == first.json()
            found = await dispatcher.receive(10, 5.0)
            assert [(one.id, one.message.payload) for one in found] == [(first.json()["id"], b"one")]
            await dispatcher.ack(found)
            assert await dispatcher.receive(10, 0.5) == []


async def test_with_a_file_it_counts_after_all_have_ended_and_in_another_service(
    on_each: Place, tmp_path: Path, deadline: Deadline
) -> None:
    file = tmp_path / "seen"
    environment = {"FAIRDISPATCH_SERVICE_IDEMPOTENCY_FILE": str(file)}
    with serving(on_each, tmp_path, environment=environment) as served:
        async with served.client(deadline) as client:
            first = await ask(client, "k", b"one")
            assert first.status_code == 202
    assert file.stat().st_mode & 0o777 == 0o600
    with (
        serving(on_each, tmp_path, environment=environment) as served,
        serving(on_each, tmp_path / "other", environment=environment) as other,
    ):
        for one in (served, other):
            async with one.client(deadline) as client:
                assert await conflicts(client, "k")
                assert (await ask(client, "k", b"one")).json() == first.json()
                await ask(client, f"of {one is other}", b"one")
        async with served.client(deadline) as client:
            assert await conflicts(client, "of True")


async def test_a_file_that_is_something_else_is_left_alone(on_redis: Place, tmp_path: Path) -> None:
    file = tmp_path / "notes"
    file.write_text("dear diary" * 20)
    environment = {"FAIRDISPATCH_SERVICE_IDEMPOTENCY_FILE": str(file)}
    assert "is no table" in refused(on_redis, "--allow-anonymous", environment=environment)
    assert file.read_text().startswith("dear diary")
    environment = {"FAIRDISPATCH_SERVICE_IDEMPOTENCY_FILE": str(tmp_path / "absent" / "file")}
    assert "No such file" in refused(on_redis, "--allow-anonymous", environment=environment)


def keeper(table: SharedTable, *, broker_knows_keys: bool, pid: int | None = None) -> Idempotency:
    found = Idempotency(table, "sms", 300.0, broker_knows_keys=broker_knows_keys)
    if pid is not None:
        found._me = pid
    return found


@pytest.fixture
def table() -> SharedTable:
    return SharedTable(make_table(1000, VALUE_BYTES), VALUE_BYTES)


def message(payload: bytes = b"x", key: str | None = "k", customer: str = "acme") -> Message:
    return Message(customer, payload, id=key)


@pytest.mark.parametrize("broker_knows_keys", [True, False])
def test_what_was_not_stored_leaves_its_key_to_another(table: SharedTable, broker_knows_keys: bool) -> None:
    ours = keeper(table, broker_knows_keys=broker_knows_keys)
    first = ours.claim(message(b"one"), {})
    again = ours.claim(message(b"one"), {})
    assert first is not None
    assert again is not None
    assert (first.first, again.first, again.id) == (True, False, None)
    ours.failed(again, may_be_stored=False)  # only what the first one became counts
    with pytest.raises(Problem):
        ours.claim(message(b"two"), {})
    ours.failed(first, may_be_stored=True)
    with pytest.raises(Problem):
        ours.claim(message(b"two"), {})
    ours.failed(first, may_be_stored=False)
    assert ours.claim(message(b"two"), {}) is not None
    assert ours.claim(message(key=None), {}) is None
    for other in (message(b"three", "K"), message(b"three", customer="acme2")):
        assert ours.claim(other, {}) is not None
    with pytest.raises(Problem):
        ours.claim(message(b"two"), {"header": "another"})


def test_where_the_broker_knows_the_keys_of_one_process_only_ids_are_kept(table: SharedTable) -> None:
    ours = keeper(table, broker_knows_keys=False)
    theirs = keeper(table, broker_knows_keys=False, pid=os.getppid())
    claim = ours.claim(message(), {})
    with pytest.raises(Problem) as caught:  # while we publish it, which may still succeed
        theirs.claim(message(), {})
    assert (caught.value.kind.name, caught.value.retry_after) == ("outcome-unknown", 1)
    ours.stored(claim, "17-1-a")
    again = theirs.claim(message(), {})
    assert again is not None
    assert again.id == "17-1-a"


@pytest.mark.parametrize("ended", [True, False])
def test_what_may_be_stored_is_taken_over_by_whoever_is_asked(table: SharedTable, ended: bool) -> None:
    theirs = keeper(table, broker_knows_keys=False, pid=ENDED_PID if ended else os.getppid())
    ours = keeper(table, broker_knows_keys=False)
    claim = theirs.claim(message(), {})
    if not ended:
        theirs.failed(claim, may_be_stored=True)
    taken = ours.claim(message(), {})
    assert taken is not None
    assert taken.id is None
    third = keeper(table, broker_knows_keys=False, pid=os.getppid())
    with pytest.raises(Problem):
        third.claim(message(), {})


def test_a_window_of_zero_switches_it_off(table: SharedTable) -> None:
    off = Idempotency(table, "sms", 0.0, broker_knows_keys=True)
    assert off.claim(message(b"one"), {}) is off.claim(message(b"two"), {}) is None
