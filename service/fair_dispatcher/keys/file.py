"""The file of keys: JSON that only its owner may read, replaced as a whole by each change."""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import msgspec

from broker_core.errors import ConfigurationError, InvalidArgument
from fair_dispatcher.keys.model import Key, Keyring, Scope, check_key

VERSION = 1
MOST_BYTES = 16 << 20
# When a file was written, or its mode changed, its number and its size.
Version = tuple[int, int, int]

_PRIVATE = stat.S_IRUSR | stat.S_IWUSR


class StoredKey(msgspec.Struct, forbid_unknown_fields=True):
    """A key as the file has it."""

    id: str
    sha256: str
    scopes: list[Scope]
    created: datetime
    customers: list[str] | None = None
    expires: datetime | None = None
    rate: float | None = None
    note: str = ""

    def __repr__(self) -> str:
        return f"StoredKey({self.id})"


class Stored(msgspec.Struct, forbid_unknown_fields=True):
    """The whole file. receipt_secrets: hexadecimal, the first one seals."""

    version: int
    receipt_secrets: list[str]
    keys: list[StoredKey]

    def __repr__(self) -> str:
        return f"Stored({self.keys!r})"


class KeyFile:
    """Reads and changes one file of keys; changes of several processes follow one another."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> tuple[Keyring, Version]:
        """Return the keys, and what identifies the version of the file that they are from.

        Raises ConfigurationError if it is absent, broken, too big or readable by others than its owner.
        """
        stored, version = self._read()
        return _keyring(stored), version

    def version(self) -> Version | None:
        """Tell what the file is now without reading it; None if it is absent."""
        try:
            return _version(self._path.stat())
        except OSError:
            return None

    def keys(self) -> list[Key]:
        """Return the keys in the order in which they were made. Raises as `load` does."""
        return [_key(stored) for stored in self._read()[0].keys]

    def add(self, key: Key) -> None:
        """Store a key, in a new file if there is none yet."""
        with self._changing(create=True) as stored:
            stored.keys.append(
                StoredKey(
                    id=key.id,
                    sha256=key.digest.hex(),
                    scopes=sorted(key.scopes),
                    created=key.created,
                    customers=None if key.customers is None else sorted(key.customers),
                    expires=key.expires,
                    rate=key.rate,
                    note=key.note,
                )
            )

    def revoke(self, id_: str) -> bool:
        """Remove the key with this id; False if there is none. Raises as `load` does."""
        with self._changing() as stored:
            left = [key for key in stored.keys if key.id != id_]
            found = len(left) < len(stored.keys)
            stored.keys = left
        return found

    @contextmanager
    def _changing(self, *, create: bool = False) -> Iterator[Stored]:
        folder = self._path.absolute().parent
        try:
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise ConfigurationError(f"the folder {folder} of the keys: {error.strerror}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            stored = _new_file() if create and not self._path.exists() else self._read()[0]
            yield stored
            self._replace(folder, stored)
            os.fsync(lock)
        finally:
            os.close(lock)

    def _replace(self, folder: Path, stored: Stored) -> None:
        data = msgspec.json.format(msgspec.json.encode(stored), indent=2) + b"\n"
        try:
            handle, name = tempfile.mkstemp(prefix=f".{self._path.name}-", dir=folder)
        except OSError as error:
            raise ConfigurationError(f"the folder {folder} of the keys: {error.strerror}") from error
        try:
            with os.fdopen(handle, "wb") as file:
                os.fchmod(file.fileno(), _PRIVATE)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, self._path)
        except BaseException:
            os.unlink(name)
            raise

    def _read(self) -> tuple[Stored, Version]:
        try:
            with self._path.open("rb") as file:
                status = os.fstat(file.fileno())
                self._check(status)
                data = file.read(MOST_BYTES + 1)
        except OSError as error:
            raise ConfigurationError(f"the file of keys {self._path}: {error.strerror}") from error
        try:
            stored = msgspec.json.decode(data, type=Stored)
            _keyring(stored)
        except (msgspec.MsgspecError, ValueError) as error:
            # What a decoder says of a wrong value may quote it; what it says of the place does not.
            raise ConfigurationError(f"the file of keys {self._path} is broken: {_place(error)}") from None
        return stored, _version(status)

    def _check(self, status: os.stat_result) -> None:
        if not stat.S_ISREG(status.st_mode):
            raise ConfigurationError(f"the file of keys {self._path} is no regular file")
        if status.st_mode & 0o077:
            raise ConfigurationError(
                f"the file of keys {self._path} has mode {stat.S_IMODE(status.st_mode):04o}: only its "
                f"owner may have rights (chmod 600)"
            )
        if status.st_size > MOST_BYTES:
            raise ConfigurationError(f"the file of keys {self._path} has more than {MOST_BYTES} bytes")


def _version(status: os.stat_result) -> Version:
    return status.st_ctime_ns, status.st_ino, status.st_size


def _new_file() -> Stored:
    return Stored(VERSION, [secrets.token_hex(32)], [])


def _keyring(stored: Stored) -> Keyring:
    if stored.version != VERSION:
        raise ConfigurationError(f"version {stored.version} is not known, only {VERSION}")
    sealing = [bytes.fromhex(text) for text in stored.receipt_secrets]
    if not sealing or any(len(secret) < 16 for secret in sealing):
        raise ConfigurationError("receipt_secrets needs at least one secret of 16 bytes")
    keys = [_key(key) for key in stored.keys]
    if len({key.id for key in keys}) < len(keys):
        raise ConfigurationError("two keys have the same id")
    return Keyring(keys, sealing)


def _key(stored: StoredKey) -> Key:
    digest = bytes.fromhex(stored.sha256)
    if len(digest) != 32:
        raise ConfigurationError(f"key {stored.id}: sha256 has to be 64 hexadecimal digits")
    for moment in (stored.created, stored.expires):
        if moment is not None and moment.tzinfo is None:
            raise ConfigurationError(f"key {stored.id}: a time without a zone")
    if stored.rate is not None and not stored.rate > 0:
        raise ConfigurationError(f"key {stored.id}: rate has to be above 0")
    try:
        check_key(stored.scopes, stored.customers)
    except InvalidArgument as error:
        raise ConfigurationError(f"key {stored.id}: {error}") from error
    return Key(
        id=stored.id,
        digest=digest,
        scopes=frozenset(stored.scopes),
        customers=None if stored.customers is None else frozenset(stored.customers),
        created=stored.created,
        expires=stored.expires,
        rate=stored.rate,
        note=stored.note,
    )


def _place(error: Exception) -> str:
    if isinstance(error, (ConfigurationError, msgspec.ValidationError)):
        return str(error)
    return type(error).__name__
