"""Changes how customers are treated, and what becomes of their messages; each change is logged."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import structlog

from broker_core import CustomerPolicy
from fair_dispatcher.http import problems
from fair_dispatcher.http.answers import Answer, json_answer
from fair_dispatcher.http.inspecting import policy_body
from fair_dispatcher.http.problems import Problem
from fair_dispatcher.http.service import Call
from fair_dispatcher.http.wire import Counted, IdsBody, PolicyBody, PurgeBody

_policy = msgspec.json.Decoder(PolicyBody)
_ids = msgspec.json.Decoder(IdsBody)
_purge = msgspec.json.Decoder(PurgeBody)
_NOTHING = CustomerPolicy()

_log = structlog.stdlib.get_logger(__name__)


async def put_policy(call: Call) -> Answer:
    """Replace a customer's policy."""
    body = await call.read_json(_policy)
    policy = CustomerPolicy(**{name: getattr(body, name) for name in PolicyBody.__struct_fields__})
    await call.service.dispatcher.set_policy(call.customer, policy)
    _note(call, "policy set")
    return json_answer(body)


async def delete_policy(call: Call) -> Answer:
    """Remove a customer's policy."""
    await call.service.dispatcher.set_policy(call.customer, None)
    _note(call, "policy removed")
    return Answer(204)


async def pause(call: Call) -> Answer:
    """Keep a customer's messages waiting; the rest of its policy stays."""
    return await _set_paused(call, True)


async def resume(call: Call) -> Answer:
    """Hand a customer's messages over again; the rest of its policy stays."""
    return await _set_paused(call, None)


async def _set_paused(call: Call, paused: bool | None) -> Answer:
    dispatcher = call.service.dispatcher
    policy = replace(await dispatcher.get_policy(call.customer) or _NOTHING, paused=paused)
    await dispatcher.set_policy(call.customer, None if policy == _NOTHING else policy)
    _note(call, "paused" if paused else "resumed")
    return json_answer(policy_body(policy))


async def redrive(call: Call) -> Answer:
    """Make dead letters ready again."""
    body = await call.read_json(_ids, optional=True)
    count = await call.service.dispatcher.redrive(call.customer, body.ids)
    _note(call, "dead letters redriven", count)
    return json_answer(Counted(count))


async def purge(call: Call) -> Answer:
    """Remove messages or dead letters for good."""
    body = await call.read_json(_purge, optional=True)
    dispatcher = call.service.dispatcher
    if body.what == "dead_letters":
        count = await dispatcher.purge_dead_letters(call.customer, body.ids)
    elif body.ids is None:
        count = await dispatcher.purge(call.customer)
    else:
        raise Problem(problems.INVALID, "ids are for dead_letters: messages are purged all together")
    _note(call, f"{body.what} purged", count)
    return json_answer(Counted(count))


def _note(call: Call, event: str, count: int | None = None) -> None:
    key = None if call.key is None else call.key.id
    more = {} if count is None else {"count": count}
    _log.info(event, customer=call.customer, key=key, request_id=call.request_id, **more)
