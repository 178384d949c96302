"""No framework: ASGI, with msgspec for the bodies and a table of addresses."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec

Event = MutableMapping[str, Any]


class Post(msgspec.Struct):
    payload: str
    cost: int = 1


class Posted(msgspec.Struct):
    id: str


decode = msgspec.json.Decoder(Post).decode
encode = msgspec.json.Encoder().encode
numbers = itertools.count()


async def publish(customer: str, body: bytes) -> bytes:
    post = decode(body)
    return encode(Posted(f"{customer}-{next(numbers)}-{post.cost}"))


ROUTES = {("POST", "v1", "customers", "{customer}", "messages"): publish}


async def app(
    scope: Event, receive: Callable[[], Awaitable[Event]], send: Callable[[Event], Awaitable[None]]
) -> None:
    _, *parts = scope["path"].split("/")
    customer, parts[2] = parts[2], "{customer}"
    body = b""
    more = True
    while more:
        event = await receive()
        body += event["body"]
        more = event["more_body"]
    answer = await ROUTES[(scope["method"], *parts)](customer, body)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": 202, "headers": headers})
    await send({"type": "http.response.body", "body": answer})
