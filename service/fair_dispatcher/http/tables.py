"""The tables that all processes of a service share."""

from __future__ import annotations

import os
from dataclasses import dataclass

from fair_dispatcher.http import idempotency, rates
from fair_dispatcher.http.settings import ServiceSettings
from fair_dispatcher.http.shared_table import SharedTable, make_table

# More keys that have a rate and are in use at a time are limited less exactly.
_KEYS_WITH_A_RATE = 16_384


@dataclass(frozen=True, slots=True)
class TableFiles:
    """Their open files, which processes inherit under the same numbers."""

    idempotency: int
    rates: int

    @classmethod
    def make(cls, settings: ServiceSettings) -> TableFiles:
        """Make them. Raises ConfigurationError."""
        first = make_table(settings.idempotency_keys, idempotency.VALUE_BYTES, settings.idempotency_file)
        return cls(first, make_table(_KEYS_WITH_A_RATE, rates.VALUE_BYTES))

    def close(self) -> None:
        """Close them; what is shared already stays so."""
        os.close(self.idempotency)
        os.close(self.rates)


class Tables:
    """The tables in such files. Idempotent in `close`."""

    def __init__(self, files: TableFiles) -> None:
        self.idempotency = SharedTable(files.idempotency, idempotency.VALUE_BYTES)
        self.rates = SharedTable(files.rates, rates.VALUE_BYTES)

    def close(self) -> None:
        """Let go of them."""
        self.idempotency.close()
        self.rates.close()
