"""A running `fairdispatch serve`, asked over its socket, for the tests that are also made inside."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import httpx

from broker_core import FairDispatcher
from broker_core.conformance.polling import Deadline
from fair_dispatcher.keys.file import KeyFile
from fair_dispatcher.keys.model import Scope
from tests.service.over_http.brokers import Place
from tests.service.over_http.inside import EVERYTHING, Api, new_key
from tests.service.over_http.serving import serving


class Outside(Api):
    """A service in processes of its own. dispatcher: another one, of the process of the tests."""

    def __init__(
        self, url: str, keys: Path, token: str, dispatcher: FairDispatcher, deadline: Deadline
    ) -> None:
        self._url = url
        self._keys = KeyFile(keys)
        self._token = token
        self._dispatcher = dispatcher
        self._deadline = deadline

    @property
    def dispatcher(self) -> FairDispatcher:
        return self._dispatcher

    def client(self, token: str | None) -> httpx.AsyncClient:
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        return httpx.AsyncClient(base_url=self._url, headers=headers, timeout=60)

    @contextlib.asynccontextmanager
    async def with_key(
        self, *scopes: Scope, customers: Iterable[str] | None = None, **fields: Any
    ) -> AsyncIterator[httpx.AsyncClient]:
        if scopes == EVERYTHING and customers is None and not fields:
            async with self.client(self._token) as client:
                yield client
            return
        token, key = new_key(*scopes, customers=customers, **fields)
        self._keys.add(key)
        async with self.client(token) as client:

            async def known() -> bool:
                return (await client.get("/v1/customers")).status_code != 401

            await self._deadline.until(known, "the new key to be known")
            yield client


@contextlib.asynccontextmanager
async def served_outside(place: Place, folder: Path, deadline: Deadline) -> AsyncIterator[Outside]:
    """A service of one process, and a dispatcher beside it."""
    with serving(place, folder) as served:
        url = await served.url(deadline)
        async with place.dispatcher() as dispatcher:
            yield Outside(url, served.keys, served.token, dispatcher, deadline)
