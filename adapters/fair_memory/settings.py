"""Settings of the memory adapter."""

from __future__ import annotations

from pydantic import Field, SecretStr, field_validator

from broker_core.settings import DispatcherSettings

SCHEME = "memory:"


class MemorySettings(DispatcherSettings):
    """What every adapter understands, and which of the process's brokers is meant."""

    url: SecretStr | None = Field(
        SecretStr(SCHEME),
        validation_alias="FAIRDISPATCH_MEMORY_URL",
        description="memory: or memory:name; dispatchers of one process with the same name share a broker",
    )

    @field_validator("url")
    @classmethod
    def _is_memory_url(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not url.get_secret_value().startswith(SCHEME):
            raise ValueError("must begin with memory:")
        return url

    @property
    def broker_name(self) -> str:
        """The part of the URL that tells brokers of one process apart."""
        return "" if self.url is None else self.url.get_secret_value().removeprefix(SCHEME)
