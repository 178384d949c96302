"""What the endpoints of one process share, and what one request brings along."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import msgspec

from broker_core import FairDispatcher
from fair_dispatcher.http import problems
from fair_dispatcher.http.asgi import Receive, Scope
from fair_dispatcher.http.batcher import MicroBatcher
from fair_dispatcher.http.bodies import Body, Budget
from fair_dispatcher.http.health import Health
from fair_dispatcher.http.idempotency import Idempotency
from fair_dispatcher.http.problems import Problem
from fair_dispatcher.http.rates import Rates
from fair_dispatcher.http.receipts import Seal
from fair_dispatcher.http.settings import ServiceSettings
from fair_dispatcher.http.tables import Tables
from fair_dispatcher.http.waits import Waits
from fair_dispatcher.keys.model import Key, Keyring

T = TypeVar("T", bound=msgspec.Struct)


class Keys(Protocol):
    """Where the keys of the moment are."""

    @property
    def current(self) -> Keyring:
        """The keys that are in force now."""


class Service:
    """One process's parts. anonymous: let everybody in. tables: what it shares with other processes."""

    def __init__(
        self,
        dispatcher: FairDispatcher,
        settings: ServiceSettings,
        keys: Keys,
        health: Health,
        tables: Tables,
    ) -> None:
        self.dispatcher = dispatcher
        self.settings = settings
        self.keys = keys
        self.anonymous = settings.key_file is None
        self.batcher = MicroBatcher(dispatcher)
        self.waits = Waits(dispatcher)
        self.budget = Budget(settings.max_buffered_bytes)
        self.idempotency = Idempotency(
            tables.idempotency,
            dispatcher.settings.namespace,
            dispatcher.settings.dedup_window,
            broker_knows_keys=dispatcher.capabilities.dedup == "namespace",
        )
        self.rates = Rates(tables.rates, settings.rate, settings.burst_seconds)
        self.health = health
        self._sealed_with: tuple[bytes, ...] = ()
        self._seal = Seal((), "")

    @property
    def seal(self) -> Seal:
        """What seals receipts, with the secrets that are in force now."""
        secrets = self.keys.current.receipt_secrets
        if secrets != self._sealed_with:
            self._seal = Seal(secrets, self.dispatcher.settings.namespace)
            self._sealed_with = secrets
        return self._seal

    def end_waits(self) -> None:
        """Let long polls end with what they have, and readiness with no."""
        self.health.ending = True
        self.waits.end()

    async def close(self) -> None:
        """Finish calls of the broker that are under way."""
        await self.batcher.close()
        await self.health.close()


@dataclass(slots=True)
class Call:
    """One request. key: None if nobody had to show one. customer: the one in the path, "" if none is."""

    service: Service
    scope: Scope
    receive: Receive
    headers: Mapping[bytes, bytes]
    body: Body
    request_id: str
    key: Key | None = None
    customer: str = ""
    logged: dict[str, object] = field(default_factory=dict)

    @property
    def media_type(self) -> bytes:
        """The body's media type, in small letters and without parameters."""
        return self.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()

    def may_touch(self, customer: str) -> bool:
        """Tell whether the key may know of this customer."""
        return self.key is None or self.key.may_touch(customer)

    async def read_json(self, decoder: msgspec.json.Decoder[T], *, optional: bool = False) -> T:
        """Read and decode the body. Raises Problem. optional: no body counts as {}."""
        data = await self.body.read(self.service.settings.max_body_bytes, self.service.settings.body_seconds)
        if optional and not data:
            data = b"{}"
        elif self.media_type != b"application/json":
            raise Problem(problems.UNSUPPORTED_MEDIA_TYPE, "application/json is read here")
        return decode(decoder, data)


def decode(decoder: msgspec.json.Decoder[T], data: bytes) -> T:
    """Decode JSON. Raises Problem, which doesn't quote values."""
    try:
        return decoder.decode(data)
    except msgspec.ValidationError as error:
        known = ", ".join(decoder.type.__struct_fields__) if "unknown field" in str(error) else ""
        raise Problem(problems.INVALID, f"{error} (known are {known})" if known else str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        reason = str(error) if isinstance(error, msgspec.DecodeError) else "it is no JSON in UTF-8"
        raise Problem(problems.INVALID_REQUEST, reason) from None
