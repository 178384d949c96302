"""What a run of `fairdispatch serve` was asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from fair_dispatcher.http.settings import ServiceSettings
from fair_dispatcher.work.options import RunOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions(RunOptions):
    """The same for every process of `fairdispatch serve`.

    listener: the number of the listening socket. idempotency_table, rates_table: the files of the tables
    that all share. arguments: settings that win over the environment.
    receipt_secret: hexadecimal, used where no keys are.
    """

    module: ClassVar[str] = "fair_dispatcher.serve.process"

    listener: int
    idempotency_table: int
    rates_table: int
    arguments: dict[str, str | int | bool] = field(default_factory=dict)
    receipt_secret: str = field(default="", repr=False)

    @property
    def inherited(self) -> tuple[int, ...]:
        """The listening socket, where connections wait for whichever process is free, and the tables."""
        return (self.listener, self.idempotency_table, self.rates_table)

    def settings(self) -> ServiceSettings:
        """Load the settings. Raises ConfigurationError."""
        return ServiceSettings.load(**self.arguments)
