"""What an API key is, and how one is recognised."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from broker_core import checks
from broker_core.errors import ConfigurationError

SECRET_BYTES = 32
MOST_CUSTOMERS = 10_000

_TOKEN = re.compile(r"fd_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_NAMED = re.compile(r"fd_([0-9a-f]{12})(_[A-Za-z0-9_-]*)?")
# Compared with when no key has the id, so that an unknown id takes as long as a wrong secret.
_NOBODY = bytes(hashlib.sha256().digest_size)


class Scope(StrEnum):
    """What a key is for. consume: receive and settle; admin: look, set policies, redrive, purge."""

    PUBLISH = "publish"
    CONSUME = "consume"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """An API key as it is kept: its secret only as a hash.

    customers: whose it is; None: everybody's. created, expires: aware UTC. rate: requests and published
    messages a second, None: as the settings say. note: for people.
    """

    id: str
    digest: bytes = field(repr=False)
    scopes: frozenset[Scope]
    customers: frozenset[str] | None = None
    created: datetime
    expires: datetime | None = None
    rate: float | None = None
    note: str = ""

    def is_live(self, now: datetime) -> bool:
        """Tell whether it hasn't expired."""
        return self.expires is None or now < self.expires

    def may_touch(self, customer: str) -> bool:
        """Tell whether this customer is one of its own."""
        return self.customers is None or customer in self.customers


def check_key(scopes: Iterable[Scope], customers: Iterable[str] | None) -> None:
    """Raise ConfigurationError for a combination that can't be kept."""
    wanted = set(scopes)
    if not wanted:
        raise ConfigurationError("a key needs a scope: publish, consume or admin")
    if customers is None:
        return
    named = set(customers)
    if Scope.CONSUME in wanted:
        raise ConfigurationError(
            "a key with the scope consume can't be bound to customers: receive hands over the messages of "
            "all customers, fairly; it can't leave any out"
        )
    if not 1 <= len(named) <= MOST_CUSTOMERS:
        raise ConfigurationError(f"a key is bound to 1–{MOST_CUSTOMERS} customers, or to none")
    for customer in named:
        checks.check_customer(customer)


def make_token() -> tuple[str, str, bytes]:
    """Return a fresh token (shown once, never kept), its id and the hash of its secret."""
    id_, secret = secrets.token_hex(6), secrets.token_urlsafe(SECRET_BYTES)
    return f"fd_{id_}_{secret}", id_, digest_of(secret)


def id_of(text: str) -> str:
    """Return the id of a key that is named by its token, its token's begin `fd_…`, or its id alone."""
    match = _NAMED.fullmatch(text)
    return text if match is None else match[1]


def digest_of(secret: str) -> bytes:
    """Hash a secret. One round suffices: 256 random bits can't be guessed, unlike a person's password."""
    return hashlib.sha256(secret.encode()).digest()


class Keyring:
    """The keys of one moment, and the secrets that seal receipts: the first seals, all are recognised."""

    def __init__(self, keys: Iterable[Key], receipt_secrets: Iterable[bytes]) -> None:
        self._keys: Mapping[str, Key] = {key.id: key for key in keys}
        self.receipt_secrets = tuple(receipt_secrets)

    def __len__(self) -> int:
        return len(self._keys)

    def __repr__(self) -> str:
        return f"Keyring({list(self._keys)})"

    def authenticate(self, token: str, now: datetime | None = None) -> Key | None:
        """Return the live key whose token this is, None for any other text."""
        match = _TOKEN.fullmatch(token)
        if match is None:
            return None
        key = self._keys.get(match[1])
        known = hmac.compare_digest(digest_of(match[2]), _NOBODY if key is None else key.digest)
        if key is None or not known or not key.is_live(now or datetime.now(UTC)):
            return None
        return key
