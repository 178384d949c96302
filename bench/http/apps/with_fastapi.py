"""FastAPI, which decodes with pydantic."""

from __future__ import annotations

import itertools

from fastapi import FastAPI
from pydantic import BaseModel


class Post(BaseModel):
    payload: str
    cost: int = 1


class Posted(BaseModel):
    id: str


numbers = itertools.count()
app = FastAPI()


@app.post("/v1/customers/{customer}/messages", status_code=202)
async def publish(customer: str, data: Post) -> Posted:
    return Posted(id=f"{customer}-{next(numbers)}-{data.cost}")
