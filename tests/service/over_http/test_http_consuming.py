"""/v1/deliveries…: leases over HTTP, and receipts that nobody can make."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import httpx
import pytest

from broker_core import Message
from broker_core.conformance.polling import Deadline
from fair_dispatcher.http.receipts import NotOurs, Seal
from tests.service.over_http.brokers import Place
from tests.service.over_http.inside import EVERYTHING, Api, Inside, problem, served

DELIVERIES = "/v1/deliveries"


async def take(client: httpx.AsyncClient, most: int = 100, wait: float = 5.0) -> list[dict[str, Any]]:
    answer = await client.post(DELIVERIES, json={"max_messages": most, "wait": wait})
    assert answer.status_code == 200, answer.text
    return list(answer.json()["deliveries"])


async def settle(client: httpx.AsyncClient, verb: str, *receipts: str, **more: Any) -> dict[str, Any]:
    answer = await client.post(f"{DELIVERIES}/{verb}", json={"receipts": receipts, **more})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_a_delivery_says_everything(api: Api, client: httpx.AsyncClient) -> None:
    (id_,) = await api.dispatcher.publish(Message("acme", b"text", {"k": "v"}, None, 3))
    (found,) = await take(client)
    assert found.pop("receipt").startswith("r1.")
    assert found.pop("published_at") <= found.pop("lease_until")
    assert found == {
        "id": id_,
        "customer": "acme",
        "attempt": 1,
        "payload": "text",
        "headers": {"k": "v"},
        "cost": 3,
    }
    await api.dispatcher.publish(Message("acme", b"\xff\x00"))
    (found,) = await take(client)
    assert "payload" not in found
    assert base64.b64decode(found["payload_base64"]) == b"\xff\x00"


@pytest.mark.each_broker
async def test_ack_removes_and_may_be_repeated(api: Api, client: httpx.AsyncClient) -> None:
    await api.dispatcher.publish([Message("a")] * 3)
    receipts = [one["receipt"] for one in await take(client, 3)]
    assert await settle(client, "ack", *receipts) == {"done": receipts, "lost": []}
    assert await settle(client, "ack", *receipts) == {"done": receipts, "lost": []}
    assert await settle(client, "nack", receipts[0]) == {"done": [], "lost": [receipts[0]]}
    assert (await api.dispatcher.backlog()).leased == 0


@pytest.mark.each_broker
async def test_nack_release_and_dead_letter(api: Api, client: httpx.AsyncClient) -> None:
    await api.dispatcher.publish(Message("a"))
    (one,) = await take(client)
    await settle(client, "release", one["receipt"])
    (one,) = await take(client)
    assert one["attempt"] == 1
    await settle(client, "nack", one["receipt"], delay=0, reason="busy")
    (two,) = await take(client)
    assert two["attempt"] == 2
    assert await settle(client, "ack", one["receipt"], two["receipt"]) == {
        "done": [two["receipt"]],
        "lost": [one["receipt"]],
    }
    await api.dispatcher.publish(Message("a"))
    (one,) = await take(client)
    await settle(client, "dead-letter", one["receipt"], reason="bad number")
    (letter,) = await api.dispatcher.dead_letters("a")
    assert letter.reason == "bad number"


async def test_extend_tells_the_new_ends_and_what_is_lost(api: Api, client: httpx.AsyncClient) -> None:
    await api.dispatcher.publish([Message("a")] * 3)
    deliveries = await take(client, 3)
    receipts = [one["receipt"] for one in deliveries]
    await settle(client, "release", receipts[1])
    answer = await settle(client, "extend", *receipts, seconds=600)
    assert [one["receipt"] for one in answer["done"]] == [receipts[0], receipts[2]]
    assert all(one["lease_until"] > deliveries[0]["lease_until"] for one in answer["done"])
    assert answer["lost"] == [receipts[1]]


async def test_another_service_on_the_namespace_takes_the_receipts(place: Place) -> None:
    async with served(place) as one, served(place) as other:
        await one.dispatcher.publish([Message("a")] * 3)
        async with one.with_key(*EVERYTHING) as client, other.with_key(*EVERYTHING) as neighbour:
            receipts: list[str] = []
            while len(receipts) < 3:
                receipts += [found["receipt"] for found in await take(client, 3)]
            answer = await settle(neighbour, "extend", receipts[0])
            assert (len(answer["done"]), answer["lost"]) == (1, [])
            assert await settle(neighbour, "ack", *receipts) == {"done": receipts, "lost": []}
        assert (await one.dispatcher.backlog("a")).leased == 0


@pytest.mark.each_broker
async def test_a_long_poll_ends_with_the_first_message(api: Api, client: httpx.AsyncClient) -> None:
    waiting = asyncio.ensure_future(take(client, wait=20))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    await api.dispatcher.publish(Message("a"))
    async with asyncio.timeout(10):
        assert len(await waiting) == 1


async def test_all_long_polls_end_at_once_when_the_service_does(inside: Inside, deadline: Deadline) -> None:
    async with inside.with_key(*EVERYTHING) as client:
        await end_long_polls(inside, client, deadline)


async def end_long_polls(api: Inside, client: httpx.AsyncClient, deadline: Deadline) -> None:
    waiting = [asyncio.ensure_future(take(client, wait=30)) for _ in range(20)]
    await deadline.until(lambda: len(api.service.waits) == 20, "20 long polls")
    api.service.end_waits()
    async with asyncio.timeout(5):
        assert await asyncio.gather(*waiting) == [[]] * 20
    await api.dispatcher.publish(Message("a"))
    assert len(await take(client, wait=30)) == 1  # what is there is still handed over
    assert problem(await client.get("/health/ready")) == "not-ready"


async def test_what_a_client_that_hung_up_would_have_got_goes_to_the_next(
    inside: Inside, deadline: Deadline
) -> None:
    hung_up = asyncio.Event()

    async def receive() -> dict[str, Any]:
        await hung_up.wait()
        return {"type": "http.disconnect"}

    waiting = asyncio.ensure_future(inside.service.waits.receive(10, 30.0, receive))
    await deadline.until(lambda: len(inside.service.waits) == 1, "a long poll")
    hung_up.set()
    await asyncio.wait({waiting}, timeout=5)
    assert waiting.done()
    assert type(waiting.exception()).__name__ == "ClientGone"
    await inside.dispatcher.publish(Message("a"))
    (delivery,) = await inside.dispatcher.receive(10, 5.0)
    assert delivery.attempt == 1


@pytest.mark.parametrize(
    "body",
    [
        {"max_messages": 0},
        {"max_messages": 1001},
        {"wait": -1},
        {"wait": 30.1},
        {"wait": "1"},
        {"more": 1},
        [],
    ],
)
async def test_receive_refuses_what_is_out_of_range(in_memory: Place, body: object) -> None:
    async with served(in_memory) as api, api.with_key(*EVERYTHING) as client:
        assert problem(await client.post(DELIVERIES, json=body)) == "invalid"


async def test_a_body_is_optional_only_for_receive(in_memory: Place) -> None:
    async with served(in_memory) as api, api.with_key(*EVERYTHING) as client:
        assert (await client.post(DELIVERIES)).json() == {"deliveries": []}
        assert problem(await client.post(f"{DELIVERIES}/ack")) == "unsupported-media-type"
        assert problem(await client.post(f"{DELIVERIES}/ack", json={})) == "invalid"


async def test_no_receipt_can_be_made_or_changed(inside: Inside) -> None:
    async with inside.with_key(*EVERYTHING) as client:
        await try_forged_receipts(inside, client)


async def try_forged_receipts(api: Inside, client: httpx.AsyncClient) -> None:
    await api.dispatcher.publish([Message("a")] * 2)
    one, two = [found["receipt"] for found in await take(client, 2)]
    tag = 3 + 22
    forged = [
        "",
        "r1.",
        one[:-1],
        one + "A",
        one + "=",
        one.removeprefix("r1."),
        "r2" + one[2:],
        one[:tag] + two[tag:],
        one[:5] + ("A" if one[5] != "A" else "B") + one[6:],
        api.service.seal.open(one),
        Seal([b"another secret!!"], api.dispatcher.settings.namespace).close(api.service.seal.open(one)),
        Seal([b"0123456789abcdef"], "another").close(api.service.seal.open(one)),
        "r1." + "é" * 30,
    ]
    for text in forged:
        for verb in ("ack", "nack", "release", "dead-letter", "extend"):
            answer = await client.post(f"{DELIVERIES}/{verb}", json={"receipts": [two, text]})
            assert problem(answer) == "invalid", text
    # Nothing of those requests took effect.
    assert await settle(client, "ack", one, two) == {"done": [one, two], "lost": []}


def test_a_seal_is_taken_by_every_process_with_the_secret_and_by_no_other() -> None:
    old, new = b"o" * 16, b"n" * 16
    sealed = Seal([old], "sms").close("receipt:ü")
    assert Seal([new, old], "sms").open(sealed) == "receipt:ü"
    assert Seal([new, old], "sms").close("receipt:ü") != sealed
    with pytest.raises(NotOurs):
        Seal([new], "sms").open(sealed)


@pytest.mark.parametrize("change", range(0, 60, 3))
def test_no_character_of_a_receipt_may_change(change: int) -> None:
    seal = Seal([b"o" * 16], "sms")
    sealed = seal.close("0.token.1-0:acme" * 2)
    other = chr(ord(sealed[change]) ^ 1)
    with pytest.raises(NotOurs):
        seal.open(sealed[:change] + other + sealed[change + 1 :])
