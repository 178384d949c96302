"""One key can't publish for, lease, ack, count or see anything of another customer.

Made from the table of operations: a new one is tested by its binding, and fails here until it keeps to it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from broker_core import Backlog, CustomerPolicy, Delivery, Message
from fair_dispatcher.http.operations import OPERATIONS, Binding, Operation
from fair_dispatcher.keys.model import Scope
from tests.service.over_http.brokers import Place
from tests.service.over_http.inside import EVERYTHING, NDJSON, Api, problem, served

BODIES: dict[str, Any] = {
    "publish": {"payload": "x"},
    "put_policy": {"weight": 9},
    "purge": {"what": "messages"},
    "redrive": {},
}
FOREIGN, ABSENT, OWN = "foreign", "absent", "own"
BOUND_SCOPES = (Scope.PUBLISH, Scope.ADMIN)
POLICY = CustomerPolicy(weight=7)


def with_binding(*bindings: Binding) -> list[Any]:
    return [pytest.param(one, id=one.name) for one in OPERATIONS if one.binding in bindings]


async def call(client: httpx.AsyncClient, operation: Operation, customer: str = "") -> httpx.Response:
    path = operation.path.replace("{customer}", customer)
    return await client.request(operation.method, path, json=BODIES.get(operation.name))


async def furnish(api: Api, *customers: str) -> None:
    """Give each customer one message that is dead, one leased, one ready, and a policy."""
    for customer in customers:
        await api.dispatcher.publish([Message(customer, customer.encode())] * 2)
        taken: list[Delivery] = []
        while len(taken) < 2:
            taken += await api.dispatcher.receive(2, 5.0)
        assert [one.customer for one in taken] == [customer] * 2
        await api.dispatcher.dead_letter(taken[:1], f"secret of {customer}")
    for customer in customers:
        await api.dispatcher.publish(Message(customer, customer.encode()))
        await api.dispatcher.set_policy(customer, POLICY)


async def state(api: Api, customer: str) -> tuple[Backlog, CustomerPolicy | None]:
    return await api.dispatcher.backlog(customer), await api.dispatcher.get_policy(customer)


def test_each_operation_is_bound_in_the_way_that_its_address_and_scope_demand() -> None:
    for operation in OPERATIONS:
        if operation.scope is Scope.CONSUME:
            assert operation.binding is Binding.NO_SUCH_KEY
        elif "{customer}" in operation.path:
            assert operation.binding is Binding.PATH
        elif operation.scope is Scope.ADMIN:
            assert operation.binding is Binding.LISTING
        elif operation.scope is Scope.PUBLISH:
            assert operation.binding is Binding.LINES
        else:
            assert operation.binding is Binding.OPEN


def test_each_binding_has_a_test_here() -> None:
    tested = {Binding.PATH, Binding.LISTING, Binding.LINES, Binding.NO_SUCH_KEY, Binding.OPEN}
    assert {operation.binding for operation in OPERATIONS} <= tested
    assert {operation.name for operation in OPERATIONS if operation.binding is Binding.LISTING} == set(SEES)
    assert [operation.name for operation in OPERATIONS if operation.binding is Binding.LINES] == [
        "publish_batch"
    ]


@pytest.mark.parametrize("operation", with_binding(Binding.PATH))
async def test_a_foreign_customer_answers_as_one_that_is_not_there(api: Api, operation: Operation) -> None:
    await furnish(api, FOREIGN)
    before = await state(api, FOREIGN)
    async with api.with_key(*BOUND_SCOPES, customers=[OWN]) as client:
        foreign, absent = [await call(client, operation, customer) for customer in (FOREIGN, ABSENT)]
        for answer in (foreign, absent):
            assert problem(answer) == "unknown-customer"
        assert _comparable(foreign) == _comparable(absent)
        assert (await call(client, operation, OWN)).status_code == operation.status
    assert await state(api, FOREIGN) == before
    assert await state(api, ABSENT) == (Backlog(), None)


def _comparable(answer: httpx.Response) -> tuple[int, dict[str, str], dict[str, Any]]:
    headers = {name: value for name, value in answer.headers.items() if name not in ("x-request-id", "date")}
    return answer.status_code, headers, {**answer.json(), "request_id": ""}


def _names(document: Any) -> Iterator[str]:
    for part in document.values():
        if isinstance(part, list):
            yield from (one["customer"] for one in part)


SEES = {"list_customers": 2, "list_dead_letters": 2}


@pytest.mark.parametrize("operation", with_binding(Binding.LISTING))
async def test_a_listing_has_nothing_of_others(api: Api, operation: Operation) -> None:
    await furnish(api, OWN, FOREIGN, "also own", "zz")
    async with api.with_key(*BOUND_SCOPES, customers=[OWN, "also own", "idle"]) as client:
        answer = await call(client, operation)
        assert sorted(_names(answer.json())) == ["also own", OWN]
        assert FOREIGN not in answer.text
        # A part at a time, and whatever somebody makes of the cursor.
        seen, cursor = [], None
        while True:
            query = {"limit": 1} | ({} if cursor is None else {"cursor": cursor})
            page = (await client.get(operation.path, params=query)).json()
            seen += list(_names(page))
            cursor = page["cursor"]
            if cursor is None:
                break
        assert seen == ["also own", OWN]
        for made_up in ("0", "1", "2", "3", "99", "-1", "0:", "1:0", "2:0", "9:", "x", ":", FOREIGN):
            answer = await client.get(operation.path, params={"cursor": made_up})
            assert answer.status_code in (200, 422)
            assert FOREIGN not in answer.text
    async with api.with_key(Scope.ADMIN) as client:
        assert len(list(_names((await call(client, operation)).json()))) == 4


@pytest.mark.parametrize("operation", with_binding(Binding.LINES))
async def test_lines_of_others_are_refused_one_by_one(api: Api, operation: Operation) -> None:
    await furnish(api, FOREIGN)
    before = await state(api, FOREIGN)
    async with api.with_key(*BOUND_SCOPES, customers=[OWN]) as client:
        lines = [json.dumps({"customer": one, "payload": "x"}) for one in (FOREIGN, OWN, ABSENT)]
        answer = await client.post(operation.path, content="\n".join(lines), headers=NDJSON)
        foreign, own, absent = [json.loads(line) for line in answer.text.splitlines()]
        assert (foreign.pop("line"), own.pop("line"), absent.pop("line")) == (1, 2, 3)
        assert foreign == absent
        assert foreign["problem"]["type"].endswith(":unknown-customer")
        assert "id" in own
    assert await state(api, FOREIGN) == before
    assert await state(api, ABSENT) == (Backlog(), None)


@pytest.mark.parametrize("operation", with_binding(Binding.NO_SUCH_KEY))
async def test_a_bound_key_can_not_consume(api: Api, operation: Operation) -> None:
    await furnish(api, FOREIGN)
    before = await state(api, FOREIGN)
    async with api.with_key(*BOUND_SCOPES, customers=[OWN]) as client:
        assert problem(await call(client, operation)) == "forbidden"
    assert await state(api, FOREIGN) == before


@pytest.mark.parametrize("operation", with_binding(Binding.OPEN))
async def test_what_is_open_tells_of_nobody(in_memory: Place, operation: Operation) -> None:
    async with served(in_memory) as api:
        await furnish(api, FOREIGN)
        async with api.client(None) as client:
            answer = await call(client, operation)
            assert answer.status_code == 200
            assert FOREIGN not in answer.text


@pytest.mark.parametrize("operation", [pytest.param(one, id=one.name) for one in OPERATIONS if one.scope])
async def test_each_operation_needs_its_scope(in_memory: Place, operation: Operation) -> None:
    async with served(in_memory) as api:
        assert operation.scope is not None
        others = [scope for scope in EVERYTHING if scope is not operation.scope]
        async with api.with_key(*others) as client:
            assert problem(await call(client, operation, OWN)) == "forbidden"
        wrong = api.keys.make(*EVERYTHING)
        for token in (
            None,
            "",
            "x",
            wrong[:-1],
            wrong[:-1] + ("A" if wrong[-1] != "A" else "B"),
            "fd_" + wrong,
        ):
            async with api.client(token) as client:
                answer = await call(client, operation, OWN)
                assert (problem(answer), answer.headers["www-authenticate"]) == ("unauthenticated", "Bearer")
        assert await state(api, OWN) == (Backlog(), None)
