"""Starlette, with msgspec for the bodies."""

from __future__ import annotations

import itertools

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


class Post(msgspec.Struct):
    payload: str
    cost: int = 1


class Posted(msgspec.Struct):
    id: str


decode = msgspec.json.Decoder(Post).decode
encode = msgspec.json.Encoder().encode
numbers = itertools.count()


async def publish(request: Request) -> Response:
    post = decode(await request.body())
    answer = Posted(f"{request.path_params['customer']}-{next(numbers)}-{post.cost}")
    return Response(encode(answer), 202, media_type="application/json")


app = Starlette(routes=[Route("/v1/customers/{customer}/messages", publish, methods=["POST"])])
