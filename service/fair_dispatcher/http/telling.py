"""Tells of the service itself: whether it lives, whether it is ready, what it offers."""

from __future__ import annotations

from functools import cache

from fair_dispatcher.http import problems
from fair_dispatcher.http.answers import Answer, json_answer
from fair_dispatcher.http.problems import Problem
from fair_dispatcher.http.service import Call
from fair_dispatcher.http.wire import Health

_PAGE_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
}


async def live(call: Call) -> Answer:
    """Say that the process answers."""
    return json_answer(Health("ok"))


async def ready(call: Call) -> Answer:
    """Say whether messages can be published and received, tried within the last seconds."""
    ability = await call.service.health.ability()
    if not ability.ready:
        more = {"publish": ability.publish, "receive": ability.receive}
        detail = f"publish: {ability.publish}; receive: {ability.receive}"
        raise Problem(problems.NOT_READY, detail, retry_after=5, more=more)
    return json_answer(Health("ok", ability.publish, ability.receive))


async def openapi(call: Call) -> Answer:
    """Return the OpenAPI document."""
    return Answer(200, _openapi())


async def docs(call: Call) -> Answer:
    """Return a page for people; it loads nothing."""
    return Answer(200, _docs(), b"text/html; charset=utf-8", _PAGE_HEADERS)


@cache
def _openapi() -> bytes:
    from fair_dispatcher.http.openapi import document_bytes

    return document_bytes()


@cache
def _docs() -> bytes:
    from fair_dispatcher.http.page import html

    return html().encode()
