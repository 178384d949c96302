"""The users of compose/redis-users.acl on a server, and dispatchers that do each thing as the user for it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from broker_core.adapter import BrokerAdapter, Settlement
from broker_core.conformance.proxy import TcpProxy
from broker_core.dispatcher import FairDispatcher
from broker_core.errors import BrokerUnavailable, DispatcherError
from broker_core.model import Backlog, CustomerBacklog, CustomerPolicy, DeadLetter, Delivery, Message, Page
from fair_redis_streams.adapter import RedisStreamsAdapter
from fair_redis_streams.settings import RedisStreamsSettings
from tests.conformance.redis_harness import RedisHarness

FILE = Path(__file__).resolve().parents[2] / "compose" / "redis-users.acl"
# The harness looks behind the dispatchers without a name.
_EVERYBODY = "user default on nopass ~* &* +@all"


def acl_file(folder: Path) -> Path:
    """Write the file as it is, but for any namespace, and with a default user for the tests themselves."""
    lines = [line for line in FILE.read_text().splitlines() if line.startswith("user ")]
    roles = [re.sub(r"~\{sms(\.health)?:\*", "~{*:*", line) for line in lines if "user default" not in line]
    file = folder / "users.acl"
    file.write_text("\n".join([_EVERYBODY, *roles]) + "\n")
    return file


def as_user(url: str, user: str) -> str:
    """Return the URL with the user's name and password."""
    parts = urlsplit(url)
    return parts._replace(netloc=f"{user}:CHANGE-{user}@{parts.hostname}:{parts.port}").geturl()


class UsersAdapter(BrokerAdapter):
    """Publishes as publisher, receives and settles as worker, does the rest as operator."""

    settings_type = RedisStreamsSettings
    capabilities = RedisStreamsAdapter.capabilities
    adapter_type = RedisStreamsAdapter

    def __init__(self, settings: RedisStreamsSettings, client: Any = None) -> None:
        assert client is None
        assert settings.url is not None
        url = settings.url.get_secret_value()
        self._operator, self._publisher, self._worker = (
            self.adapter_type(settings.model_copy(update={"url": type(settings.url)(as_user(url, user))}))
            for user in ("operator", "publisher", "worker")
        )

    async def open(self) -> None:
        opened: list[RedisStreamsAdapter] = []
        try:
            for adapter in (self._operator, self._publisher, self._worker):
                await adapter.open()
                opened.append(adapter)
        except BaseException:
            for adapter in opened:
                await adapter.close()
            raise

    async def close(self) -> None:
        for adapter in (self._operator, self._publisher, self._worker):
            await adapter.close()

    async def publish(self, messages: Sequence[Message]) -> list[str | DispatcherError]:
        return await self._publisher.publish(messages)

    async def receive(self, max_messages: int, wait_seconds: float) -> list[Delivery]:
        return await self._worker.receive(max_messages, wait_seconds)

    async def settle(self, receipts: Sequence[str], settlement: Settlement) -> list[str]:
        return await self._worker.settle(receipts, settlement)

    async def extend(self, receipts: Sequence[str], seconds: float) -> list[datetime | None]:
        return await self._worker.extend(receipts, seconds)

    async def set_policy(self, customer: str, policy: CustomerPolicy | None) -> None:
        await self._operator.set_policy(customer, policy)

    async def inspect(self, customer: str | None) -> tuple[Backlog, CustomerPolicy | None]:
        try:
            return await self._operator.inspect(customer)
        except BrokerUnavailable as error:
            if not error.retryable:
                raise
            # Its connection was cut with all others, which the calls of the other users found out for theirs.
            return await self._operator.inspect(customer)

    async def customers(self, limit: int, cursor: str | None) -> Page[CustomerBacklog]:
        return await self._operator.customers(limit, cursor)

    async def dead_letters(self, customer: str | None, limit: int, cursor: str | None) -> Page[DeadLetter]:
        return await self._operator.dead_letters(customer, limit, cursor)

    async def end_dead_letters(self, customer: str, ids: Sequence[str] | None, *, redrive: bool) -> int:
        return await self._operator.end_dead_letters(customer, ids, redrive=redrive)

    async def purge(self, customer: str) -> int:
        return await self._operator.purge(customer)


class UsersHarness(RedisHarness):
    """The adapter under the users of the file."""

    def make(self, namespace: str, proxy: TcpProxy | None, settings: Mapping[str, Any]) -> FairDispatcher:
        made = super().make(namespace, proxy, settings)
        loaded = made.settings
        assert isinstance(loaded, RedisStreamsSettings)
        return FairDispatcher(UsersAdapter(loaded), loaded)

    def worker_target(self) -> Mapping[str, Any]:
        return {**super().worker_target(), "url": as_user(self._server.url, "worker")}
