"""Litestar, which decodes and encodes with msgspec."""

from __future__ import annotations

import itertools

import msgspec
from litestar import Litestar, post


class Post(msgspec.Struct):
    payload: str
    cost: int = 1


class Posted(msgspec.Struct):
    id: str


numbers = itertools.count()


@post("/v1/customers/{customer:str}/messages", status_code=202)
async def publish(customer: str, data: Post) -> Posted:
    return Posted(f"{customer}-{next(numbers)}-{data.cost}")


app = Litestar([publish], logging_config=None)
