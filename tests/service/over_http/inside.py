"""The service inside the process of the tests, asked by httpx without a socket."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx

from broker_core import FairDispatcher
from fair_dispatcher.http.app import App
from fair_dispatcher.http.health import SUFFIX, Health
from fair_dispatcher.http.service import Service
from fair_dispatcher.http.settings import ServiceSettings
from fair_dispatcher.http.tables import TableFiles, Tables
from fair_dispatcher.keys.model import Key, Keyring, Scope, make_token
from tests.service.over_http.brokers import Place

RECEIPT_SECRET = b"0123456789abcdef"
NDJSON = {"content-type": "application/x-ndjson"}
EVERYTHING = tuple(Scope)


@dataclass
class FewKeys:
    """Keys that a test makes as it goes."""

    made: list[Key] = field(default_factory=list)

    @property
    def current(self) -> Keyring:
        return Keyring(self.made, (RECEIPT_SECRET,))

    def make(self, *scopes: Scope, customers: Iterable[str] | None = None, **fields: Any) -> str:
        """Return the token of a new key."""
        token, key = new_key(*scopes, customers=customers, **fields)
        self.made.append(key)
        return token


def new_key(*scopes: Scope, customers: Iterable[str] | None = None, **fields: Any) -> tuple[str, Key]:
    """Return a token, and the key that it is of."""
    token, id_, digest = make_token()
    bound = None if customers is None else frozenset(customers)
    key = Key(
        id=id_,
        digest=digest,
        scopes=frozenset(scopes),
        customers=bound,
        created=datetime.now(UTC),
        **fields,
    )
    return token, key


class Api(ABC):
    """A service, a dispatcher on its namespace, and clients with keys of their own."""

    @property
    @abstractmethod
    def dispatcher(self) -> FairDispatcher:
        """An open dispatcher of the service's namespace."""

    @abstractmethod
    def client(self, token: str | None) -> httpx.AsyncClient:
        """A client with this key, or without any."""

    @abstractmethod
    def with_key(
        self, *scopes: Scope, customers: Iterable[str] | None = None, **fields: Any
    ) -> AbstractAsyncContextManager[httpx.AsyncClient]:
        """A client with a new key."""


class Inside(Api):
    """A service in the process of the tests. dispatcher: the service's own."""

    def __init__(self, service: Service, keys: FewKeys) -> None:
        self.service = service
        self.keys = keys
        self._transport = httpx.ASGITransport(App(service), raise_app_exceptions=True)

    @property
    def dispatcher(self) -> FairDispatcher:
        return self.service.dispatcher

    def client(self, token: str | None) -> httpx.AsyncClient:
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        return httpx.AsyncClient(transport=self._transport, base_url="http://service", headers=headers)

    def with_key(
        self, *scopes: Scope, customers: Iterable[str] | None = None, **fields: Any
    ) -> AbstractAsyncContextManager[httpx.AsyncClient]:
        return self.client(self.keys.make(*scopes, customers=customers, **fields))


@contextlib.asynccontextmanager
async def served(
    place: Place, settings: dict[str, Any] | None = None, **broker: Any
) -> AsyncIterator[Inside]:
    """A service on an open dispatcher. settings: of the service; broker: of the dispatcher."""
    keys = FewKeys()
    async with place.dispatcher(**broker) as dispatcher:
        loaded = ServiceSettings(**{"key_file": "unused", **(settings or {})})
        health = Health(lambda: place.dispatcher(SUFFIX))
        with closing(TableFiles.make(loaded)) as files, closing(Tables(files)) as tables:
            service = Service(dispatcher, loaded, keys, health, tables)
            try:
                yield Inside(service, keys)
            finally:
                await service.close()


def problem(answer: httpx.Response) -> str:
    """Return the kind of problem that this answer is."""
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["status"] == answer.status_code
    assert document["request_id"] == answer.headers["x-request-id"]
    return str(document["type"]).removeprefix("urn:fair-dispatcher:problem:")
