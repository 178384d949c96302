"""Hands messages to consumers, and ends or renews their leases."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import msgspec

from broker_core.errors import LeaseLost
from fair_dispatcher.http import problems
from fair_dispatcher.http.answers import Answer, json_answer
from fair_dispatcher.http.problems import Problem
from fair_dispatcher.http.receipts import NotOurs
from fair_dispatcher.http.service import Call
from fair_dispatcher.http.wire import (
    AckBody,
    DeadLetterBody,
    Deliveries,
    ExtendBody,
    Extended,
    NackBody,
    ReceiveBody,
    Renewed,
    Settled,
    delivery_body,
)

_receive = msgspec.json.Decoder(ReceiveBody)
_ack = msgspec.json.Decoder(AckBody)
_nack = msgspec.json.Decoder(NackBody)
_dead_letter = msgspec.json.Decoder(DeadLetterBody)
_extend = msgspec.json.Decoder(ExtendBody)


async def receive(call: Call) -> Answer:
    """Lease messages, fairly; wait for the first if there is none."""
    body = await call.read_json(_receive, optional=True)
    wait_seconds = min(body.wait, call.service.settings.longest_wait_seconds)
    deliveries = await call.service.waits.receive(body.max_messages, wait_seconds, call.receive)
    seal = call.service.seal
    return json_answer(Deliveries([delivery_body(one, seal.close(one.receipt)) for one in deliveries]))


async def ack(call: Call) -> Answer:
    """End leases: processed."""
    body = await call.read_json(_ack)
    return await _settle(call, body.receipts, call.service.dispatcher.ack)


async def nack(call: Call) -> Answer:
    """End leases: again, later."""
    body = await call.read_json(_nack)
    dispatcher = call.service.dispatcher
    return await _settle(call, body.receipts, lambda them: dispatcher.nack(them, body.delay, body.reason))


async def release(call: Call) -> Answer:
    """End leases: given back as if never taken."""
    body = await call.read_json(_ack)
    return await _settle(call, body.receipts, call.service.dispatcher.release)


async def dead_letter(call: Call) -> Answer:
    """End leases: never again."""
    body = await call.read_json(_dead_letter)
    dispatcher = call.service.dispatcher
    return await _settle(call, body.receipts, lambda them: dispatcher.dead_letter(them, body.reason))


async def extend(call: Call) -> Answer:
    """Renew leases."""
    body = await call.read_json(_extend)
    opened = _opened(call, body.receipts)
    dispatcher = call.service.dispatcher
    lost: set[str] = set()
    while kept := [receipt for receipt in opened if receipt not in lost]:
        try:
            ends = await dispatcher.extend(kept, body.seconds)
        except LeaseLost as error:
            lost.update(error.lost)  # the others are renewed, which may be done again to learn until when
            continue
        renewed = [Renewed(opened[one], end) for one, end in zip(kept, ends, strict=True)]
        return json_answer(Extended(renewed, [opened[receipt] for receipt in opened if receipt in lost]))
    return json_answer(Extended([], list(opened.values())))


async def _settle(call: Call, sealed: Sequence[str], verb: Callable[[list[str]], Awaitable[None]]) -> Answer:
    opened = _opened(call, sealed)
    lost: set[str] = set()
    try:
        await verb(list(opened))
    except LeaseLost as error:
        lost.update(error.lost)
    return json_answer(
        Settled(
            [text for receipt, text in opened.items() if receipt not in lost],
            [text for receipt, text in opened.items() if receipt in lost],
        )
    )


def _opened(call: Call, sealed: Sequence[str]) -> dict[str, str]:
    """Return the dispatcher's receipts with the sealed ones, in order. Raises Problem, nothing changed."""
    seal = call.service.seal
    opened: dict[str, str] = {}
    for index, text in enumerate(sealed):
        try:
            opened[seal.open(text)] = text
        except NotOurs:
            raise Problem(
                problems.INVALID, f"receipt {index} was not given out here", more={"index": index}
            ) from None
    return opened
