from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import Field, SecretStr, ValidationError

from broker_core import DispatcherSettings
from broker_core.errors import ConfigurationError
from broker_core.settings import refuse_unknown_variables, variables_of


class SecretiveSettings(DispatcherSettings):
    url: SecretStr | None = Field(None, validation_alias="SECRETIVE_URL", max_length=20)


def refusal(**arguments: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        DispatcherSettings.load(**arguments)
    return str(caught.value)


def test_the_defaults_are_usable() -> None:
    loaded = DispatcherSettings.load()
    assert (loaded.namespace, loaded.quantum, loaded.max_attempts, loaded.lease_seconds) == (
        "default", 10, 5, 30.0,
    )  # fmt: skip


def test_they_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRDISPATCH_QUANTUM", "25")
    monkeypatch.setenv("FAIRDISPATCH_NAMESPACE", "sms")
    loaded = DispatcherSettings.load()
    assert (loaded.quantum, loaded.namespace) == (25, "sms")


def test_an_argument_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRDISPATCH_QUANTUM", "25")
    assert DispatcherSettings.load(quantum=3).quantum == 3


def test_a_wrong_variable_is_named_with_its_value_and_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FAIRDISPATCH_QUANTUM", "many")
    text = refusal()
    assert "FAIRDISPATCH_QUANTUM is 'many', but" in text
    assert "integer" in text
    assert "cost units a customer of weight 1 gets in one visit" in text


def test_a_wrong_argument_is_named_as_an_argument() -> None:
    text = refusal(max_attempts=0)
    assert text.startswith("max_attempts is 0, but: ")
    assert "greater than or equal to 1" in text
    assert "FAIRDISPATCH_" not in text


def test_all_wrong_values_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRDISPATCH_LEASE_SECONDS", "-1")
    text = refusal(namespace="no spaces", quantum=0)
    assert all(name in text for name in ("namespace", "quantum", "FAIRDISPATCH_LEASE_SECONDS"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("namespace", ""),
        ("namespace", "a" * 65),
        ("namespace", "a{b}"),
        ("namespace", ":a"),
        ("lease_seconds", 0.01),
        ("lease_seconds", float("nan")),
        ("max_attempts", 1001),
        ("max_cost", 0),
        ("backoff_jitter", 1.1),
        ("backoff_cap", 400 * 86400),
        ("dedup_window", -1),
        ("dead_letter_retention", float("inf")),
        ("max_payload_bytes", (128 << 20) + 1),
    ],
)
def test_values_out_of_range_are_refused(name: str, value: object) -> None:
    assert refusal(**{name: value}).startswith(f"{name} is {value!r}, but")


def test_a_misspelt_argument_is_refused_with_the_nearest_name() -> None:
    assert refusal(lease_second=3) == "lease_second is not a setting; did you mean lease_seconds?"


def test_a_misspelt_variable_is_refused_with_the_nearest_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRDISPATCH_LEASE_SECOND", "3")
    assert "FAIRDISPATCH_LEASE_SECOND is not known; did you mean FAIRDISPATCH_LEASE_SECONDS?" in refusal()


def test_a_variable_like_no_other_is_refused_with_all_that_are_known() -> None:
    with pytest.raises(ConfigurationError, match="known are A, B"):
        refuse_unknown_variables(["B", "A"], {"FAIRDISPATCH_ZZZZZZ": "1"})


def test_variables_of_others_are_none_of_our_business(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANTUM", "many")
    monkeypatch.setenv("NAMESPACE", "no spaces")
    assert DispatcherSettings.load().quantum == 10


def test_settings_can_not_be_changed() -> None:
    with pytest.raises(ValidationError):
        DispatcherSettings.load().quantum = 3


def test_a_field_with_its_own_variable_is_read_from_that_only(monkeypatch: pytest.MonkeyPatch) -> None:
    assert variables_of("url", SecretiveSettings.model_fields["url"]) == ["SECRETIVE_URL"]
    monkeypatch.setenv("SECRETIVE_URL", "x://somewhere")
    monkeypatch.setenv("URL", "x://elsewhere")
    loaded = SecretiveSettings.load()
    assert loaded.url is not None
    assert loaded.url.get_secret_value() == "x://somewhere"
    monkeypatch.setenv("FAIRDISPATCH_URL", "x://elsewhere")
    with pytest.raises(ConfigurationError, match="FAIRDISPATCH_URL is not known"):
        SecretiveSettings.load()


@pytest.mark.parametrize("how", ["argument", "variable"])
def test_a_secret_is_never_shown(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "x://user:canary-in-the-mine@somewhere"
    if how == "variable":
        monkeypatch.setenv("SECRETIVE_URL", secret)
    with pytest.raises(ConfigurationError) as caught:
        SecretiveSettings.load(**({"url": secret} if how == "argument" else {}))
    assert "canary" not in str(caught.value)
    assert ("url" if how == "argument" else "SECRETIVE_URL") in str(caught.value)


def test_a_secret_is_not_in_the_representation() -> None:
    assert "canary" not in repr(SecretiveSettings.load(url="x://canary"))


def test_a_variable_of_an_adapter_that_is_not_in_use_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRDISPATCH_REDIS_SHARDS", "4")
    assert DispatcherSettings.load().quantum == 10


def test_a_variable_of_the_adapter_in_use_is_refused_when_it_is_unknown() -> None:
    with pytest.raises(ConfigurationError, match="did you mean FAIRDISPATCH_REDIS_SHARDS"):
        refuse_unknown_variables(["FAIRDISPATCH_REDIS_SHARDS"], {"FAIRDISPATCH_REDIS_SHRDS": "1"})


def test_a_variable_of_an_adapter_that_is_not_installed_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="FAIRDISPATCH_CARRIER_PIGEON_FEED"):
        refuse_unknown_variables(["FAIRDISPATCH_QUANTUM"], {"FAIRDISPATCH_CARRIER_PIGEON_FEED": "1"})


def test_a_variable_without_the_prefix_is_somebody_elses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("URL", "redis://elsewhere")
    monkeypatch.setenv("SECRETIVE_URL", "redis://here")
    assert SecretiveSettings.load().url == SecretStr("redis://here")
    monkeypatch.delenv("SECRETIVE_URL")
    assert SecretiveSettings.load().url is None


def test_a_secret_may_stand_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("from a file\n")
    monkeypatch.setenv("SECRETIVE_URL_FILE", str(file))
    loaded = SecretiveSettings.load()
    assert loaded.url is not None
    assert loaded.url.get_secret_value() == "from a file"
    assert SecretiveSettings.load(url="mine").url == SecretStr("mine")


def test_a_secret_stands_in_one_place_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SECRETIVE_URL_FILE", str(tmp_path / "absent"))
    with pytest.raises(ConfigurationError, match=r"SECRETIVE_URL_FILE is '.*absent', but: No such file"):
        SecretiveSettings.load()
    monkeypatch.setenv("SECRETIVE_URL", "canary")
    with pytest.raises(ConfigurationError, match="both set") as caught:
        SecretiveSettings.load()
    assert "canary" not in str(caught.value)


def test_a_wrong_secret_from_a_file_is_not_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("canary" * 10)
    monkeypatch.setenv("SECRETIVE_URL_FILE", str(file))
    with pytest.raises(ConfigurationError, match="SECRETIVE_URL") as caught:
        SecretiveSettings.load()
    assert "canary" not in str(caught.value)


def test_variables_of_the_service_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRDISPATCH_SERVICE_PORT", "1")
    DispatcherSettings.load()
    with pytest.raises(ConfigurationError, match="FAIRDISPATCH_SERVICES is not known"):
        refuse_unknown_variables([], {"FAIRDISPATCH_SERVICES": ""})
