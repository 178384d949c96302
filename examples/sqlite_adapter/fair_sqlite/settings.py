"""Settings of this adapter beside the common ones."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from broker_core.settings import DispatcherSettings

SCHEME = "sqlite:"


class SqliteSettings(DispatcherSettings):
    """Where the files are, one for each namespace, and how they are written."""

    url: str = Field(
        "sqlite:.",
        validation_alias="FAIRDISPATCH_SQLITE_URL",
        pattern=f"^{SCHEME}.",
        description="sqlite:folder, an existing folder on a local disk",
    )
    timeout_seconds: float = Field(
        5.0,
        validation_alias="FAIRDISPATCH_SQLITE_TIMEOUT_SECONDS",
        ge=0.05,
        le=300,
        description="longest wait for other processes' transactions",
    )
    synchronous: Literal["FULL", "NORMAL"] = Field(
        "FULL",
        validation_alias="FAIRDISPATCH_SQLITE_SYNCHRONOUS",
        description="FULL: what was published survives a loss of power; NORMAL: a crash of processes only",
    )

    @property
    def file(self) -> Path:
        """The namespace's file; names that differ in case only are kept apart on every file system."""
        name = "".join(f"+{char.lower()}" if char.isupper() else char for char in self.namespace)
        return Path(self.url.removeprefix(SCHEME), f"{name}.db")
