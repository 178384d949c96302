"""`fairdispatch serve` from its start to its end: signals, renewal, death, keys, TLS, what it logs."""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from broker_core import Message
from broker_core.conformance.polling import Deadline
from tests.service.command_line import run_process
from tests.service.over_http.brokers import Place, place_in
from tests.service.over_http.inside import problem
from tests.service.over_http.serving import make_key, refused, serving, start
from tests.service.test_work_life import gone
from tests.service.work_run import Workplace, WorkRun

MESSAGES = "/v1/customers/acme/messages"


async def take(client: httpx.AsyncClient, most: int = 100, wait: float = 10.0) -> list[dict[str, Any]]:
    answer = await client.post("/v1/deliveries", json={"max_messages": most, "wait": wait})
    assert answer.status_code == 200, answer.text
    return list(answer.json()["deliveries"])


@pytest.mark.each_broker
async def test_sigterm_ends_long_polls_at_once_and_leaves_leases_to_their_clients(
    on_each: Place, tmp_path: Path, deadline: Deadline
) -> None:
    with serving(on_each, tmp_path) as served:
        async with served.client(deadline) as client:
            await client.post(MESSAGES, content=b"x")
            (held,) = await take(client)
            polls = [asyncio.ensure_future(take(client, wait=30)) for _ in range(10)]
            await asyncio.sleep(0.3)
            served.run.send(signal.SIGTERM)
            async with asyncio.timeout(10):
                assert await asyncio.gather(*polls) == [[]] * 10
        assert await served.run.ended(deadline) == 0
        assert served.run.texts == []
        assert all(gone(pid) for pid in served.run.ready_pids())
    with serving(on_each, tmp_path) as served:
        async with served.client(deadline) as client, on_each.dispatcher() as dispatcher:
            receipts = {"receipts": [held["receipt"]]}
            if dispatcher.capabilities.lease_enforced_by == "client":
                # The message went back with the connection that took it, and the receipt is void.
                (again,) = await take(client)
                assert again["id"] == held["id"]
                answer = await client.post("/v1/deliveries/release", json=receipts)
                assert answer.json() == {"done": [], "lost": [held["receipt"]]}
                return
            assert (await dispatcher.backlog("acme")).leased == 1
            answer = await client.post("/v1/deliveries/ack", json=receipts)
            assert answer.json() == {"done": [held["receipt"]], "lost": []}
            assert (await dispatcher.backlog("acme")).leased == 0


async def test_all_processes_are_renewed_under_load_without_a_request_that_fails(
    on_each: Place, tmp_path: Path, deadline: Deadline
) -> None:
    with serving(on_each, tmp_path, "--processes", "2") as served:
        async with served.client(deadline, count=2) as client:
            statuses: list[int] = []
            stop = asyncio.Event()

            async def keep_asking() -> None:
                while not stop.is_set():
                    answer = await client.post(MESSAGES, content=b"x")
                    statuses.append(answer.status_code)
                    found: list[dict[str, Any]] = []
                    while not found:  # a poll of a process that ends comes back empty
                        found = await take(client, 1)
                    receipt = found[0]["receipt"]
                    settled = await client.post("/v1/deliveries/ack", json={"receipts": [receipt]})
                    assert settled.json()["lost"] == []

            asking = [asyncio.ensure_future(keep_asking()) for _ in range(4)]
            old = served.run.ready_pids()
            served.run.send(signal.SIGHUP)
            await served.run.until_logged("all worker processes are new", deadline)
            stop.set()
            await asyncio.gather(*asking)
            assert set(statuses) == {202}
        assert all(gone(pid) for pid in old)
    async with on_each.dispatcher() as dispatcher:
        backlog = await dispatcher.backlog()
        assert (backlog.ready, backlog.leased) == (0, 0)


@pytest.mark.each_broker
async def test_a_process_that_is_killed_is_replaced(
    on_each: Place, tmp_path: Path, deadline: Deadline
) -> None:
    with serving(on_each, tmp_path) as served:
        async with served.client(deadline) as client:
            (pid,) = served.run.ready_pids()
            os.kill(pid, signal.SIGKILL)
            await served.run.until_ready(2, deadline)
            assert (
                await client.post(MESSAGES, content=b"x", headers={"connection": "close"})
            ).status_code == 202


async def test_keys_made_and_revoked_meanwhile_count(
    on_each: Place, tmp_path: Path, deadline: Deadline
) -> None:
    with serving(on_each, tmp_path) as served:
        url = await served.url(deadline)
        token = make_key(served.keys, "publish", customers=("acme",))
        headers = {"authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(base_url=url, headers=headers) as client:

            async def answers(status: int) -> bool:
                return (await client.post(MESSAGES, content=b"x")).status_code == status

            await deadline.until(lambda: answers(202), "the new key to be known")
            served.keys.chmod(0o644)
            await served.run.until_logged("the keys can't be read", deadline)
            assert await answers(202)
            served.keys.chmod(0o600)
            run_process("keys", "revoke", token.split("_")[1], "--file", str(served.keys))
            await deadline.until(lambda: answers(401), "the revoked key to be refused")


async def test_readiness_follows_the_broker(on_redis: Place, tmp_path: Path, deadline: Deadline) -> None:
    away = Place("redis", "redis://127.0.0.1:1/0", "REDIS_URL", "x")
    with serving(away, tmp_path) as served:
        # It doesn't serve before it has connected once, and can be ended meanwhile.
        await served.run.until_logged("the broker does not answer", deadline)
        served.run.send(signal.SIGTERM)
        assert await served.run.ended(deadline) == 0


async def get(url: str, trusting: ssl.SSLContext) -> httpx.Response:
    async with httpx.AsyncClient(base_url=url, verify=trusting) as client:
        return await client.get("/health/live")


async def test_tls(on_redis: Place, tmp_path: Path, deadline: Deadline) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    chain.write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    key.write_bytes(certificate.private_key_pem.bytes())
    environment = {
        "FAIRDISPATCH_SERVICE_TLS_CERTFILE": str(chain),
        "FAIRDISPATCH_SERVICE_TLS_KEYFILE": str(key),
    }
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with serving(on_redis, tmp_path, environment=environment) as served:
        async with served.client(deadline, verify=trusting) as client:
            assert str(client.base_url).startswith("https://")
            assert (await client.post(MESSAGES, content=b"x")).status_code == 202
            assert len(await take(client)) == 1
        with pytest.raises(httpx.ConnectError):
            await get(await served.url(deadline), ssl.create_default_context())
        old = ssl.create_default_context()
        authority.configure_trust(old)
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises(httpx.ConnectError):
            await get(await served.url(deadline), old)


async def test_without_keys_everybody_on_this_machine_is_let_in_if_that_is_wished(
    on_redis: Place, tmp_path: Path, deadline: Deadline
) -> None:
    for options, reason in (
        ((), "KEY_FILE is not set"),
        (("--allow-anonymous", "--host", "0.0.0.0"), "only for loopback addresses"),
        (("--key-file", str(tmp_path / "absent")), "No such file"),
    ):
        assert reason in refused(on_redis, *options)
    run = WorkRun(start(on_redis, ["--allow-anonymous"], {}), tmp_path / "records")
    try:
        await run.until_ready(1, deadline)
        async with httpx.AsyncClient(base_url=run.events("listening")[0]["url"]) as client:
            assert (await client.post(MESSAGES, content=b"x")).status_code == 202
            assert problem(await client.get("/v1/none")) == "not-found"
            options = ("--allow-anonymous", "--port", str(client.base_url.port))
        assert "Address already in use" in refused(on_redis, *options)
    finally:
        run.end()


@pytest.mark.each_broker
async def test_request_and_trace_reach_the_log_of_the_handler(
    on_each: Place, tmp_path: Path, deadline: Deadline
) -> None:
    workplace = Workplace(on_each.url, on_each.namespace, tmp_path / "handled.ndjson")
    trace = "0af7651916cd43dd8448eb211c80319c"
    with (
        serving(on_each, tmp_path) as served,
        workplace.working("work_handlers:fail_once", environment=on_each.environment()) as work,
    ):
        async with served.client(deadline) as client:
            headers = {"x-request-id": "order-17", "traceparent": f"00-{trace}-b7ad6b7169203331-01"}
            answer = await client.post(MESSAGES, content=b"x", headers=headers)
        (line,) = await work.until_logged("the handler failed", deadline)
        assert (line["request_id"], line["trace_id"], line["message_id"]) == (
            "order-17",
            trace,
            answer.json()["id"],
        )


async def test_nothing_secret_is_in_the_log_or_in_answers(
    on_each: Place, tmp_path: Path, deadline: Deadline
) -> None:
    canary = "canary-6b1f"
    environment = {"FAIRDISPATCH_SERVICE_MAX_BODY_BYTES": "1000"}
    with serving(on_each, tmp_path, "--log-level", "debug", environment=environment) as served:
        async with served.client(deadline) as client:
            token = client.headers["authorization"].removeprefix("Bearer ")
            answers = [
                await client.post(MESSAGES, content=canary.encode()),
                await client.post(MESSAGES, json={"payload": canary, "headers": {"x": canary}}),
                await client.post(MESSAGES, json={"payload": 1, canary: canary}),
                await client.post(MESSAGES, content=canary.encode() * 1000),
                await client.post(
                    "/v1/messages",
                    content=f'{{"customer": 1, "payload": "{canary}"}}\n' + canary,
                    headers={"content-type": "application/x-ndjson"},
                ),
                await client.get(f"/v1/customers?cursor={canary}"),
                await client.get("/v1/customers", headers={"authorization": f"Bearer fd_{canary}"}),
                await client.get("/v1/customers", headers={"authorization": f"Basic {canary}"}),
                await client.post("/v1/deliveries/ack", json={"receipts": [canary]}),
                await client.get(f"/{canary}"),
                await client.get("/health/ready"),
            ]
            (first, *_) = await take(client)
            await client.post("/v1/deliveries/nack", json={"receipts": [first["receipt"]], "reason": canary})
        served.run.send(signal.SIGTERM)
        assert await served.run.ended(deadline) == 0
        assert len(served.run.events("answered")) > 10
        file = served.keys.read_text()
        for secret in (canary, token, token.split("_", 2)[2], first["receipt"]):
            assert [line for line in (*served.run.lines, *served.run.texts) if secret in str(line)] == []
            assert not any(secret in answer.text + str(answer.headers) for answer in answers)
        assert token.split("_", 2)[2] not in file


async def test_a_broker_that_refuses_us_is_told_without_the_password(
    on_redis: Place, tmp_path: Path, deadline: Deadline
) -> None:
    url = on_redis.url.replace("://", "://nobody:wrong-secret@")
    refused = Place("redis", url, "REDIS_URL", on_redis.namespace)
    with serving(refused, tmp_path) as served:
        assert await served.run.ended(deadline) == 1
        (text,) = served.run.texts
        assert text.startswith("fairdispatch: ")
        assert "wrong-secret" not in f"{served.run.texts}{served.run.lines}"


@pytest.mark.parametrize("broker", ["redis", "rabbitmq"])
async def test_a_url_may_stand_in_a_file(
    request: pytest.FixtureRequest, broker: str, tmp_path: Path, deadline: Deadline
) -> None:
    place = place_in(broker, request)
    file = tmp_path / "url"
    file.write_text(place.url + "\n")
    in_file = replace(place, url=str(file), variable=f"{place.variable}_FILE")
    with serving(in_file, tmp_path) as served:
        async with served.client(deadline) as client, place.dispatcher() as dispatcher:
            await client.post(MESSAGES, content=b"x")
            (delivery,) = await dispatcher.receive(1, 5.0)
            assert delivery.message == Message("acme", b"x")
