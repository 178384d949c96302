"""POST /v1/messages: a line in, a line out, in bounded memory, whatever the lines are."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from broker_core import Message
from broker_core.errors import BrokerUnavailable
from tests.service.over_http.brokers import Place
from tests.service.over_http.inside import EVERYTHING, NDJSON, Api, problem, served

TYPE = "urn:fair-dispatcher:problem:"


def line(customer: str = "acme", payload: str = "x", **more: Any) -> bytes:
    return json.dumps({"customer": customer, "payload": payload, **more}).encode() + b"\n"


async def post(client: httpx.AsyncClient, content: bytes | AsyncIterator[bytes]) -> list[dict[str, Any]]:
    answer = await client.post("/v1/messages", content=content, headers=NDJSON)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(text) for text in answer.text.splitlines()]


def kinds(results: list[dict[str, Any]]) -> list[str]:
    """What became of each line: "id", or the kind of its problem."""
    return ["id" if "id" in one else one["problem"]["type"].removeprefix(TYPE) for one in results]


async def test_all_lines_are_stored_in_order(api: Api, client: httpx.AsyncClient) -> None:
    results = await post(client, b"".join(line(payload=str(n)) for n in range(1200)))
    deliveries = await api.dispatcher.receive(2000, 5.0)
    while len(deliveries) < 1200:
        more = await api.dispatcher.receive(2000, 5.0)
        assert more
        deliveries += more
    assert [delivery.message.payload for delivery in deliveries] == [b"%d" % n for n in range(1200)]
    assert [one["id"] for one in results] == [delivery.id for delivery in deliveries]


@pytest.mark.each_broker
async def test_a_bad_line_does_not_touch_the_others(api: Api, client: httpx.AsyncClient) -> None:
    lines = [
        line(payload="a"),
        b"rubbish\n",
        b"\n",
        b" \t\n",
        line(customer=""),
        line(customer="a\n"),
        line(payload="b", cost=1001),
        line(unknown=1),
        b'{"customer": "acme", "payload_base64": "/w=="}\n',
        line(payload="c", idempotency_key="k"),
        line(payload="d", idempotency_key="k"),
        line(payload="c", idempotency_key="k"),
        b"\xff\n",
        b'{"customer": "acme", "payload": "last"}',
    ]
    results = await post(client, b"".join(lines))
    assert kinds(results) == [
        "id",
        "invalid-request",
        "invalid",
        "invalid",
        "invalid",
        "invalid",
        "id",
        "id",
        "idempotency-key-reused",
        "id",
        "invalid-request",
        "id",
    ]  # fmt: skip
    payloads = [delivery.message.payload for delivery in await api.dispatcher.receive(100, 5.0)]
    assert payloads == [b"a", b"\xff", b"c", b"last"]
    assert results[7]["id"] == results[9]["id"]
    assert [one["line"] for one in results] == [1, 2, *range(5, 15)]


@pytest.mark.parametrize("step", [1, 7, 100])
async def test_the_parts_in_which_it_comes_do_not_matter(in_memory: Place, step: int) -> None:
    whole = (
        b"".join(line(payload=str(n)) for n in range(20)) + b"\n" + b"x" * 300 + b"\n" + line(payload="20")
    )

    async def parts() -> AsyncIterator[bytes]:
        for start in range(0, len(whole), step):
            yield whole[start : start + step]

    async with served(in_memory, {"max_body_bytes": 200}) as api, api.with_key(*EVERYTHING) as client:
        results = await post(client, parts())
        assert kinds(results) == ["id"] * 20 + ["too-large", "id"]
        assert [one["line"] for one in results] == [*range(1, 21), 22, 23]
        deliveries = await api.dispatcher.receive(100)
        assert [delivery.message.payload for delivery in deliveries] == [b"%d" % n for n in range(21)]


async def test_a_line_without_end_is_not_kept(in_memory: Place) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield line()
        for _ in range(1000):
            yield b"x" * 1000

    settings = {"max_body_bytes": 2000, "max_buffered_bytes": 1 << 16}
    async with served(in_memory, settings) as api, api.with_key(*EVERYTHING) as client:
        assert kinds(await post(client, endless())) == ["id", "too-large"]


async def test_limits_of_lines_and_bytes(in_memory: Place) -> None:
    async with served(in_memory, {"max_batch_messages": 3, "max_batch_bytes": 2000}) as api:
        async with api.with_key(*EVERYTHING) as client:
            assert kinds(await post(client, line() * 3)) == ["id"] * 3
            results = await post(client, line() * 5)
            assert kinds(results) == ["id"] * 3 + ["too-large"]
            assert [one["line"] for one in results] == [1, 2, 3, 4]
            answer = await client.post("/v1/messages", content=b"x" * 2001, headers=NDJSON)
            assert problem(answer) == "too-large"

            async def longer() -> AsyncIterator[bytes]:
                yield line()
                for _ in range(30):
                    yield b" " * 100

            results = await post(client, longer())
            assert [(one["line"], kind) for one, kind in zip(results, kinds(results), strict=True)] == [
                (1, "id"),
                (2, "too-large"),
            ]
        assert (await api.dispatcher.backlog()).ready == 7


async def test_what_fails_for_all_is_tried_once(in_memory: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    async with served(in_memory) as api, api.with_key(*EVERYTHING) as client:
        publish = api.dispatcher.publish

        async def fail_later(messages: list[Message]) -> list[str]:
            calls.append(len(messages))
            if len(calls) > 1:
                raise BrokerUnavailable("gone")
            return await publish(messages)

        monkeypatch.setattr(api.dispatcher, "publish", fail_later)
        results = await post(client, line() * 2000)
        assert kinds(results) == ["id"] * 500 + ["broker-unavailable"] * 1500
        assert calls == [500, 500]


async def test_other_types_are_refused_and_nothing_is_no_mistake(in_memory: Place) -> None:
    async with served(in_memory) as api, api.with_key(*EVERYTHING) as client:
        assert problem(await client.post("/v1/messages", json={})) == "unsupported-media-type"
        assert await post(client, b"") == []
        coded = await client.post(
            "/v1/messages", content=b"x", headers={**NDJSON, "content-encoding": "gzip"}
        )
        assert problem(coded) == "unsupported-media-type"


async def test_an_unknown_member_is_told_with_those_that_are_known(in_memory: Place) -> None:
    async with served(in_memory) as api, api.with_key(*EVERYTHING) as client:
        (result,) = await post(client, line(id="order-17"))
        assert "unknown field `id`" in result["problem"]["detail"]
        assert "idempotency_key" in result["problem"]["detail"]


async def test_a_batch_counts_against_the_rate(in_memory: Place) -> None:
    settings = {"rate": 0.5, "burst_seconds": 60.0}  # one more each two seconds, so that none comes meanwhile
    async with served(in_memory, settings) as api, api.with_key(*EVERYTHING) as client:
        assert kinds(await post(client, line() * 30)) == ["id"] * 30
        answer = await client.post("/v1/messages", content=line(), headers=NDJSON)
        assert problem(answer) == "rate-limited"
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        async with api.with_key(*EVERYTHING) as other:
            assert kinds(await post(other, line())) == ["id"]
