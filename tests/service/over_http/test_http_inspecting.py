"""Looking at customers and dead letters, and changing how customers are treated."""

from __future__ import annotations

import httpx
import pytest

from broker_core import CustomerPolicy, Message
from broker_core.errors import InvalidArgument
from fair_dispatcher.keys.model import Scope
from tests.service.over_http.brokers import Place
from tests.service.over_http.inside import EVERYTHING, Api, problem, served

ZEROS = {"ready": 0, "leased": 0, "delayed": 0, "dead": 0}


async def bury(api: Api, customer: str, count: int) -> None:
    await api.dispatcher.publish([Message(customer, b"%d" % n) for n in range(count)])
    taken = 0
    while taken < count:
        deliveries = await api.dispatcher.receive(count, 5.0)
        assert deliveries
        await api.dispatcher.dead_letter(deliveries, "bad number")
        taken += len(deliveries)


async def test_a_customer_and_the_listing(api: Api, client: httpx.AsyncClient) -> None:
    assert (await client.get("/v1/customers/a%2Fb")).json() == {
        "customer": "a/b",
        "backlog": ZEROS,
        "policy": None,
    }
    await api.dispatcher.publish([Message("a/b")] * 3)
    await api.dispatcher.set_policy("a/b", CustomerPolicy(weight=3))
    found = (await client.get("/v1/customers/a%2Fb")).json()
    assert (found["backlog"]["ready"], found["policy"]["weight"]) == (3, 3)
    await api.dispatcher.publish([Message(f"c{n}") for n in range(5)])
    seen: dict[str, int] = {}
    cursor = None
    while True:
        query = {"limit": 2} if cursor is None else {"limit": 2, "cursor": cursor}
        page = (await client.get("/v1/customers", params=query)).json()
        seen |= {one["customer"]: one["backlog"]["ready"] for one in page["customers"]}
        cursor = page["cursor"]
        if cursor is None:
            break
    assert seen == {"a/b": 3, "c0": 1, "c1": 1, "c2": 1, "c3": 1, "c4": 1}


async def test_policies(api: Api, client: httpx.AsyncClient) -> None:
    answer = await client.put("/v1/customers/a/policy", json={"weight": 5})
    assert answer.json()["weight"] == 5
    assert (await client.post("/v1/customers/a/pause")).json()["paused"] is True
    assert await api.dispatcher.get_policy("a") == CustomerPolicy(weight=5, paused=True)
    await api.dispatcher.publish(Message("a"))
    assert await api.dispatcher.receive(1) == []
    assert (await client.post("/v1/customers/a/resume")).json()["paused"] is None
    assert await api.dispatcher.get_policy("a") == CustomerPolicy(weight=5)
    assert len(await api.dispatcher.receive(1, 5.0)) == 1
    assert (await client.delete("/v1/customers/a/policy")).status_code == 204
    assert await api.dispatcher.get_policy("a") is None
    await client.post("/v1/customers/b/pause")
    await client.post("/v1/customers/b/resume")
    assert await api.dispatcher.get_policy("b") is None
    assert problem(await client.put("/v1/customers/a/policy", json={"weight": 0})) == "invalid"
    assert problem(await client.put("/v1/customers/a/policy", json={"rate": 1})) == "unsupported"


@pytest.mark.each_broker
async def test_dead_letters_are_listed_redriven_and_purged(api: Api, client: httpx.AsyncClient) -> None:
    await bury(api, "a", 3)
    await bury(api, "b", 2)
    page = (await client.get("/v1/customers/a/dead-letters", params={"limit": 2})).json()
    assert [one["payload"] for one in page["dead_letters"]] == ["0", "1"]
    first = page["dead_letters"][0]
    assert (first["customer"], first["reason"], first["attempts"]) == ("a", "bad number", 1)
    rest = {"limit": 2, "cursor": page["cursor"]}
    page = (await client.get("/v1/customers/a/dead-letters", params=rest)).json()
    assert [one["payload"] for one in page["dead_letters"]] == ["2"]
    assert len((await client.get("/v1/dead-letters")).json()["dead_letters"]) == 5
    answer = await client.post("/v1/customers/a/redrive", json={"ids": [first["id"]]})
    assert answer.json() == {"count": 1}
    (delivery,) = await api.dispatcher.receive(10, 5.0)
    assert delivery.id == first["id"]
    assert (await client.post("/v1/customers/a/redrive")).json() == {"count": 2}
    answer = await client.post("/v1/customers/a/purge")
    assert answer.json() == {"count": 3}
    answer = await client.post("/v1/customers/b/purge", json={"what": "dead_letters"})
    assert answer.json() == {"count": 2}
    answer = await client.post("/v1/customers/b/purge", json={"ids": ["1"]})
    assert problem(answer) == "invalid"


async def test_queries_and_addresses_that_are_wrong(in_memory: Place) -> None:
    async with served(in_memory) as api, api.with_key(*EVERYTHING) as client:
        for query in (
            "limit=0",
            "limit=1001",
            "limit=x",
            "limit=",
            "cursor=",
            "cursor=%00%00",
            "limit=1&limit=0",
        ):
            assert problem(await client.get(f"/v1/customers?{query}")) == "invalid", query
        assert problem(await client.get("/v1/customers?limit=%FF")) == "invalid-request"
        for path in (
            "/",
            "/v1",
            "/v1/customers/",
            "/v1/customers/a/",
            "/v1/customers/a/b",
            "/v1/Customers",
            "/docs/",
        ):
            assert problem(await client.get(path)) in ("not-found", "invalid"), path
        answer = await client.delete("/v1/customers/a")
        assert (problem(answer), answer.headers["allow"]) == ("method-not-allowed", "GET")
        assert (await client.head("/v1/customers/a")).status_code == 200


async def test_a_cursor_of_somewhere_else_is_refused_in_words_of_the_service(
    in_memory: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> None:
        raise InvalidArgument("cursor must be one that customers() returned")

    async with served(in_memory) as api:
        for verb in ("customers", "dead_letters"):
            monkeypatch.setattr(api.dispatcher, verb, refuse)
        async with (
            api.with_key(*EVERYTHING) as whole,
            api.with_key(Scope.ADMIN, customers=["acme"]) as bound,
        ):
            for client, path in (
                (whole, "/v1/customers"),
                (whole, "/v1/dead-letters"),
                (bound, "/v1/dead-letters"),
                (whole, "/v1/customers/acme/dead-letters"),
            ):
                answer = await client.get(path)
                assert problem(answer) == "invalid"
                assert answer.json()["detail"] == "cursor has to be one that the listing gave"


async def test_health(api: Api) -> None:
    async with api.client(None) as client:
        assert (await client.get("/health/live")).json()["status"] == "ok"
        answer = await client.get("/health/ready")
        assert answer.json() == {"status": "ok", "publish": "ok", "receive": "ok"}
    assert (await api.dispatcher.backlog()).ready == 0
