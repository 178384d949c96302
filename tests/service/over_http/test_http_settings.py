"""Settings of the service: its variables, and that nobody is let in by mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from broker_core.errors import ConfigurationError
from fair_dispatcher.http.settings import ServiceSettings


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FAIRDISPATCH_SERVICE_KEY_FILE", raising=False)


def refusal(**arguments: object) -> str:
    with pytest.raises(ConfigurationError) as caught:
        ServiceSettings.load(**arguments)
    return str(caught.value)


def test_without_keys_nobody_is_let_in_unless_that_is_wished() -> None:
    assert "fairdispatch keys create" in refusal()
    assert ServiceSettings.load(allow_anonymous=True).host == "127.0.0.1"
    assert ServiceSettings.load(allow_anonymous=True, host="::1").key_file is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.1", "localhost", "example.org", ""])
def test_without_keys_only_this_machine_is_served(host: str) -> None:
    assert "only for loopback addresses" in refusal(allow_anonymous=True, host=host)


def test_variables_are_read_and_unknown_ones_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FAIRDISPATCH_SERVICE_KEY_FILE", str(tmp_path / "keys.json"))
    monkeypatch.setenv("FAIRDISPATCH_SERVICE_PORT", "9")
    monkeypatch.setenv("FAIRDISPATCH_NAMESPACE", "sms")  # not the service's
    settings = ServiceSettings.load(host="0.0.0.0")
    assert (settings.port, settings.host, settings.key_file) == (9, "0.0.0.0", tmp_path / "keys.json")
    monkeypatch.setenv("FAIRDISPATCH_SERVICE_MAX_BODY_BYTE", "1")
    assert "did you mean FAIRDISPATCH_SERVICE_MAX_BODY_BYTES?" in refusal()
    monkeypatch.delenv("FAIRDISPATCH_SERVICE_MAX_BODY_BYTE")
    monkeypatch.setenv("FAIRDISPATCH_SERVICE_PORT", "many")
    assert "FAIRDISPATCH_SERVICE_PORT is 'many', but" in refusal()


def test_what_does_not_fit_together_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    assert "exclude each other" in refusal(key_file=file, allow_anonymous=True)
    assert "go together" in refusal(key_file=file, tls_certfile=file)
