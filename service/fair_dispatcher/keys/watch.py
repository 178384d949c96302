"""Keeps the keys of a running process as the file has them."""

from __future__ import annotations

import asyncio

import structlog

from broker_core.errors import ConfigurationError
from fair_dispatcher.keys.file import KeyFile, Version
from fair_dispatcher.keys.model import Keyring

POLL_SECONDS = 1.0

_log = structlog.stdlib.get_logger(__name__)


class KeyWatch:
    """Holds the current keys; `run` follows the file, and keeps the old ones while it is broken."""

    def __init__(self, file: KeyFile) -> None:
        """Read the file. Raises ConfigurationError if it can't be used."""
        self._file = file
        self._version: Version | None
        self.current, self._version = file.load()

    async def run(self) -> None:
        """Look once a second, until cancelled."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            self.look()

    def look(self) -> None:
        """Read the file if it has changed."""
        version = self._file.version()
        if version == self._version:
            return
        self._version = version
        try:
            self.current, self._version = self._file.load()
        except ConfigurationError as error:
            _log.error("the keys can't be read; those known so far stay in force", reason=str(error))
        else:
            _log.info("the keys were read anew", keys=len(self.current))


class FixedKeys:
    """No keys, for a service that lets everybody in; receipts are sealed all the same."""

    def __init__(self, receipt_secret: bytes) -> None:
        self.current = Keyring((), (receipt_secret,))
