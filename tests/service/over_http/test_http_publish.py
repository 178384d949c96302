"""POST /v1/customers/{customer}/messages: what is stored, what is refused, and that each gets its outcome."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from broker_core import Message
from broker_core.errors import (
    BacklogFull,
    BrokerFull,
    BrokerUnavailable,
    Closed,
    DispatcherError,
    PublishFailed,
)
from fair_dispatcher.http.batcher import MOST_CALLS, MicroBatcher
from tests.service.over_http.brokers import Place
from tests.service.over_http.inside import EVERYTHING, Api, problem, served

MESSAGES = "/v1/customers/acme/messages"


async def the_only(api: Api) -> Message:
    (delivery,) = await api.dispatcher.receive(10, 5.0)
    await api.dispatcher.ack([delivery])
    return delivery.message


@pytest.mark.each_broker
async def test_text_is_stored(api: Api, client: httpx.AsyncClient) -> None:
    answer = await client.post(MESSAGES, json={"payload": "grüße", "headers": {"k": "v"}, "cost": 3})
    assert answer.status_code == 202
    (delivery,) = await api.dispatcher.receive(10, 5.0)
    assert answer.json() == {"id": delivery.id}
    assert delivery.message == Message("acme", "grüße".encode(), {"k": "v"}, None, 3)


async def test_bytes_are_stored_from_base64_and_from_any_other_type(
    api: Api, client: httpx.AsyncClient
) -> None:
    payload = bytes(range(256))
    answer = await client.post(MESSAGES, json={"payload_base64": base64.b64encode(payload).decode()})
    assert answer.status_code == 202
    assert (await the_only(api)).payload == payload
    answer = await client.post(f"{MESSAGES}?cost=7", content=payload, headers={"content-type": "image/png"})
    assert answer.status_code == 202
    message = await the_only(api)
    assert (message.payload, message.cost) == (payload, 7)


async def test_a_body_that_is_encoded_is_refused(in_memory: Place) -> None:
    async with served(in_memory) as api, api.with_key(*EVERYTHING) as client:
        for address in (MESSAGES, "/v1/deliveries"):
            answer = await client.post(address, content=b"x", headers={"content-encoding": "gzip"})
            assert problem(answer) == "unsupported-media-type"
            assert "Content-Encoding" in answer.json()["detail"]
            assert answer.headers["accept-encoding"] == "identity"
        answer = await client.post(MESSAGES, content=b"x", headers={"content-encoding": "Identity"})
        assert answer.status_code == 202
        assert (await the_only(api)).payload == b"x"


async def test_the_largest_cost_is_the_one_that_is_set(in_memory: Place) -> None:
    async with served(in_memory, max_cost=50) as api, api.with_key(*EVERYTHING) as client:
        for cost in ("0", "51", "x"):
            answer = await client.post(f"{MESSAGES}?cost={cost}", content=b"x")
            assert problem(answer) == "invalid"
            assert "from 1 to 50" in answer.json()["detail"]
        assert (await client.post(f"{MESSAGES}?cost=50", content=b"x")).status_code == 202


@pytest.mark.parametrize("query", ["cost=5", "headers=x", "payload="])
async def test_what_belongs_into_the_body_is_refused_beside_it(in_memory: Place, query: str) -> None:
    async with served(in_memory) as api, api.with_key(*EVERYTHING) as client:
        answer = await client.post(f"{MESSAGES}?{query}", json={"payload": "x"})
        assert problem(answer) == "invalid"
        assert answer.json()["detail"] == f"{query.partition('=')[0]} belongs into the JSON body"


@pytest.mark.parametrize("customer", ["a/b", "..", "a b", "ümläut", "a%2Fb", "?", "a" * 200, "*[}"])
async def test_any_name_reaches_its_customer(api: Api, client: httpx.AsyncClient, customer: str) -> None:
    answer = await client.post(
        f"/v1/customers/{quote(customer, safe='').replace('.', '%2E')}/messages", content=b""
    )
    assert answer.status_code == 202, answer.text
    assert (await the_only(api)).customer == customer


@pytest.mark.parametrize(
    ("content", "kind", "detail"),
    [
        (b"{", "invalid-request", "truncated"),
        (b"\xff", "invalid-request", ""),
        (b"[" * 5000, "invalid", "object"),
        (b"{}", "invalid", "missing"),
        (b'{"payload": "a", "payload_base64": "YQ=="}', "invalid", "exclude"),
        (b'{"payload_base64": "Y"}', "invalid", "base64"),
        (b'{"payload_base64": "YQ==!"}', "invalid", "base64"),
        (b'{"payload": 1}', "invalid", "$.payload"),
        (b'{"payload": "a", "cost": 0}', "invalid", "$.cost"),
        (b'{"payload": "a", "cost": 1001}', "invalid", "max_cost"),
        (b'{"payload": "a", "headers": {"k": 1}}', "invalid", "$.headers"),
        (b'{"payload": "a", "customer": "other"}', "invalid", "unknown field"),
    ],
)
async def test_a_body_that_can_not_be_stored_is_refused(
    in_memory: Place, content: bytes, kind: str, detail: str
) -> None:
    async with served(in_memory) as api, api.with_key(*EVERYTHING) as client:
        answer = await client.post(MESSAGES, content=content, headers={"content-type": "application/json"})
        assert problem(answer) == kind
        assert detail in answer.json()["detail"]
        assert (await api.dispatcher.backlog()).ready == 0


async def test_names_that_no_customer_can_have_are_refused(in_memory: Place) -> None:
    async with served(in_memory) as api, api.with_key(*EVERYTHING) as client:
        for name in ("a%00", "a" * 201, "%FF", "%C2%85"):
            assert problem(await client.post(f"/v1/customers/{name}/messages", content=b"")) == "invalid"
        assert problem(await client.post("/v1/customers//messages", content=b"")) == "invalid"


async def test_too_large_is_refused_before_it_is_read(in_memory: Place) -> None:
    async with served(in_memory, {"max_body_bytes": 1000}, max_payload_bytes=100) as api:
        async with api.with_key(*EVERYTHING) as client:
            assert problem(await client.post(MESSAGES, content=b"x" * 1001)) == "too-large"
            assert problem(await client.post(MESSAGES, content=b"x" * 101)) == "too-large"
            assert (await client.post(MESSAGES, content=b"x" * 100)).status_code == 202

            async def endless() -> Any:
                for _ in range(1000):
                    yield b"x" * 100

            assert problem(await client.post(MESSAGES, content=endless())) == "too-large"
        assert (await api.dispatcher.backlog()).ready == 1


async def test_bodies_together_stay_within_their_memory(in_memory: Place) -> None:
    async with served(in_memory, {"max_buffered_bytes": 1 << 16}) as api, api.with_key(*EVERYTHING) as client:
        answer = await client.post(MESSAGES, content=b"x" * ((1 << 16) + 1))
        assert (problem(answer), answer.headers["retry-after"]) == ("overloaded", "1")
        assert (await client.post(MESSAGES, content=b"x" * (1 << 16))).status_code == 202


@pytest.mark.each_broker
async def test_an_idempotency_key_stores_once(api: Api, client: httpx.AsyncClient) -> None:
    for key in ("k", "ü" * 200):
        headers = {b"idempotency-key": key.encode()}
        answers = [await client.post(MESSAGES, json={"payload": "a"}, headers=headers) for _ in range(3)]
        assert {answer.status_code for answer in answers} == {202}
        assert len({answer.json()["id"] for answer in answers}) == 1
        conflict = await client.post(MESSAGES, json={"payload": "b"}, headers=headers)
        assert problem(conflict) == "idempotency-key-reused"
        conflict = await client.post(MESSAGES, json={"payload": "a", "cost": 2}, headers=headers)
        assert problem(conflict) == "idempotency-key-reused"
        other = await client.post("/v1/customers/other/messages", json={"payload": "b"}, headers=headers)
        assert other.status_code == 202
    assert (await api.dispatcher.backlog()).ready == 4
    for wrong in (b"", b"x" * 201, b"\xff"):
        answer = await client.post(MESSAGES, content=b"", headers={b"idempotency-key": wrong})
        assert problem(answer) == "invalid"


async def test_trace_and_request_id_travel_with_the_message(api: Api, client: httpx.AsyncClient) -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    headers = {"traceparent": parent, "tracestate": "a=1", "x-request-id": "mine-1"}
    answer = await client.post(MESSAGES, json={"payload": "", "headers": {"k": "v"}}, headers=headers)
    assert answer.headers["x-request-id"] == "mine-1"
    carried = {"traceparent": parent, "tracestate": "a=1", "request-id": "mine-1"}
    assert (await the_only(api)).headers == {**carried, "k": "v"}
    body = {"payload": "", "headers": {"request-id": "own"}}
    await client.post(MESSAGES, json=body, headers={"x-request-id": "mine-2", "traceparent": "rubbish"})
    assert (await the_only(api)).headers == {"request-id": "own"}
    answer = await client.post(MESSAGES, content=b"", headers={"x-request-id": "not allowed"})
    assert answer.headers["x-request-id"] not in ("", "not allowed")
    assert (await the_only(api)).headers == {}


class Scripted:
    """A dispatcher whose calls of publish are held and answered as a test says."""

    def __init__(self) -> None:
        self.calls: list[Sequence[Message]] = []
        self.answers: asyncio.Queue[list[str] | DispatcherError] = asyncio.Queue()

    async def publish(self, messages: Sequence[Message]) -> list[str]:
        self.calls.append(messages)
        answer = await self.answers.get()
        if isinstance(answer, DispatcherError):
            raise answer
        return answer


async def test_messages_that_arrive_together_share_a_call_and_get_their_own_outcomes() -> None:
    dispatcher = Scripted()
    batcher = MicroBatcher(dispatcher)  # type: ignore[arg-type]
    firsts = [asyncio.ensure_future(batcher.publish(Message("c", b"0")))]
    await asyncio.sleep(0.01)
    assert len(dispatcher.calls) == 1  # an idle one sends at once
    firsts += [asyncio.ensure_future(batcher.publish(Message("c", b"%d" % n))) for n in range(1, 5)]
    await asyncio.sleep(0.01)
    assert [len(call) for call in dispatcher.calls] == [1, 4]
    later = [asyncio.ensure_future(batcher.publish(Message("c", b"%d" % n))) for n in range(5, 8)]
    await asyncio.sleep(0.01)
    assert len(dispatcher.calls) == MOST_CALLS  # no more at a time
    dispatcher.answers.put_nowait(["zero"])
    full = BacklogFull("full")
    dispatcher.answers.put_nowait(PublishFailed({0: "one", 3: "four"}, {1: full}, [2]))
    outcomes = await asyncio.gather(*firsts)
    assert outcomes[:3] == ["zero", "one", full]
    assert isinstance(outcomes[3], PublishFailed)
    assert outcomes[4] == "four"
    gone = BrokerUnavailable("gone")
    dispatcher.answers.put_nowait(gone)
    assert await asyncio.gather(*later) == [gone] * 3
    await batcher.close()
    assert isinstance(await batcher.publish(Message("c")), Closed)


@pytest.mark.parametrize(
    ("error", "kind", "status", "retry_after"),
    [
        (BacklogFull("x"), "backlog-full", 429, "1"),
        (BrokerFull("x"), "broker-full", 503, "5"),
        (BrokerUnavailable("redis://user:canary@host"), "broker-unavailable", 503, "1"),
        (BrokerUnavailable("x", retryable=False), "broker-unavailable", 503, "60"),
        (PublishFailed({}, {}, [0]), "outcome-unknown", 503, "1"),
        (Closed("x"), "shutting-down", 503, "1"),
    ],
)
async def test_errors_of_the_broker_become_problems(
    in_memory: Place,
    monkeypatch: pytest.MonkeyPatch,
    error: DispatcherError,
    kind: str,
    status: int,
    retry_after: str,
) -> None:
    async def fail(_: object) -> list[str]:
        raise error

    async with served(in_memory) as api, api.with_key(*EVERYTHING) as client:
        monkeypatch.setattr(api.dispatcher, "publish", fail)
        headers = {"idempotency-key": "k"}
        answer = await client.post(MESSAGES, content=b"a", headers=headers)
        assert (problem(answer), answer.status_code, answer.headers["retry-after"]) == (
            kind,
            status,
            retry_after,
        )
        assert "canary" not in answer.text
        monkeypatch.undo()
        # What certainly was not stored leaves its key to another message.
        answer = await client.post(MESSAGES, content=b"b", headers=headers)
        assert answer.status_code == (409 if kind == "outcome-unknown" else 202)
