"""The file of keys: only hashes, only for its owner, followed while services run."""

from __future__ import annotations

import json
import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog.testing
from typer.testing import CliRunner, Result

from broker_core.errors import ConfigurationError
from fair_dispatcher.cli import app
from fair_dispatcher.keys.file import KeyFile
from fair_dispatcher.keys.model import Key, Keyring, Scope, digest_of, make_token
from fair_dispatcher.keys.watch import KeyWatch

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["keys", *arguments])


def created(file: Path, *arguments: str) -> str:
    result = run("create", "--file", str(file), *arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout.strip()


def test_a_key_is_shown_once_and_kept_as_a_hash(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    token = created(file, "--scope", "publish", "--customer", "acme", "--note", "a\x1bnote")
    _, id_, secret = token.split("_", 2)
    assert len(secret) * 6 >= 256
    text = file.read_text()
    assert secret not in text
    assert digest_of(secret).hex() in text
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    ring, _ = KeyFile(file).load()
    key = ring.authenticate(token)
    assert key is not None
    assert (key.id, key.scopes, key.customers) == (id_, frozenset({Scope.PUBLISH}), frozenset({"acme"}))
    listed = run("list", "--file", str(file))
    assert id_ in listed.stdout
    assert secret not in listed.stdout + repr(ring) + repr(key)
    assert key.digest.hex() not in listed.stdout + repr(ring) + repr(key)
    assert "\x1b" not in listed.stdout


def test_several_keys_are_in_force_until_one_is_revoked(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    old, new = created(file, "--scope", "consume"), created(file, "--scope", "consume")
    ring, _ = KeyFile(file).load()
    assert ring.authenticate(old)
    assert ring.authenticate(new)
    id_ = old.split("_")[1]
    assert run("revoke", id_, "--file", str(file)).exit_code == 0
    again = run("revoke", id_, "--file", str(file))
    assert (again.exit_code, again.stderr) == (1, "fairdispatch: there is no key with that id\n")
    ring, _ = KeyFile(file).load()
    assert ring.authenticate(old) is None
    assert ring.authenticate(new)


@pytest.mark.parametrize("characters", [(3, 15), (0, 15), (0, None)])
def test_a_key_is_revoked_by_its_id_or_by_itself(tmp_path: Path, characters: tuple[int, int | None]) -> None:
    file = tmp_path / "keys.json"
    token = created(file, "--scope", "publish")
    assert run("revoke", token[slice(*characters)], "--file", str(file)).exit_code == 0
    assert KeyFile(file).keys() == []


def test_nothing_is_revoked_in_a_file_that_is_not_there(tmp_path: Path) -> None:
    result = run("revoke", "0123456789ab", "--file", str(tmp_path / "typo.json"))
    assert result.exit_code == 2
    assert "No such file" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_listing_has_the_rates(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    created(file, "--scope", "publish", "--rate", "12.5")
    created(file, "--scope", "publish")
    heading, _, *rows = run("list", "--file", str(file)).stdout.splitlines()
    assert "RATE" in heading
    assert ["12.5/s" in row for row in rows] == [True, False]
    assert ["default" in row for row in rows] == [False, True]


def test_consume_can_not_be_bound(tmp_path: Path) -> None:
    result = run("create", "--scope", "consume", "--customer", "a", "--file", str(tmp_path / "keys.json"))
    assert result.exit_code == 2
    assert "can't be bound to customers: receive hands over the messages of all customers" in result.stderr
    assert not (tmp_path / "keys.json").exists()


@pytest.mark.parametrize(
    ("expires", "wanted"),
    [
        ("90d", timedelta(days=90)),
        ("12h", timedelta(hours=12)),
        ("30m", timedelta(minutes=30)),
        ("yesterday", None),
        ("2020-01-01T00:00:00+00:00", None),
        ("2090-01-01T00:00:00", None),
    ],
)
def test_keys_expire(tmp_path: Path, expires: str, wanted: timedelta | None) -> None:
    file = tmp_path / "keys.json"
    result = run("create", "--scope", "admin", "--expires", expires, "--file", str(file), "--json")
    if wanted is None:
        assert (result.exit_code, file.exists()) == (2, False)
        return
    token = json.loads(result.stdout)["key"]
    ring, _ = KeyFile(file).load()
    now = datetime.now(UTC)
    assert ring.authenticate(token, now + wanted - timedelta(minutes=1))
    assert ring.authenticate(token, now + wanted + timedelta(minutes=1)) is None


def test_only_the_whole_token_is_taken() -> None:
    token, id_, digest = make_token()
    key = Key(id=id_, digest=digest, scopes=frozenset(Scope), created=NOW)
    ring = Keyring([key], [b"s" * 16])
    assert ring.authenticate(token) is key
    other, _, _ = make_token()
    secret = other.split("_", 2)[2]
    for wrong in ("", id_, token[3:], token + "A", token + "\n", token.upper(), f"fd_{id_}_{secret}", other):
        assert ring.authenticate(wrong) is None


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "keys.json"
    created(file, "--scope", "publish")
    file.chmod(mode)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        KeyFile(file).load()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"version": 2, "receipt_secrets": ["' + "0" * 32 + '"], "keys": []}',
        '{"version": 1, "receipt_secrets": [], "keys": []}',
        '{"version": 1, "receipt_secrets": ["canary"], "keys": []}',
        '{"version": 1, "receipt_secrets": ["00"], "keys": []}',
        '{"version": 1, "receipt_secrets": ["' + "0" * 32 + '"], "keys": [{"id": "canary"}]}',
    ],
)
def test_a_broken_file_is_refused_without_telling_what_it_holds(tmp_path: Path, text: str) -> None:
    file = tmp_path / "keys.json"
    file.write_text(text)
    file.chmod(0o600)
    with pytest.raises(ConfigurationError) as caught:
        KeyFile(file).load()
    assert "canary" not in str(caught.value)


def test_changes_are_followed_and_a_broken_file_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    first = created(file, "--scope", "publish")
    watch = KeyWatch(KeyFile(file))
    second = created(file, "--scope", "publish")
    assert watch.current.authenticate(second) is None
    watch.look()
    assert watch.current.authenticate(second)
    good = file.read_bytes()
    for break_it in (lambda: file.write_text("{"), file.unlink, lambda: file.write_text("[]")):
        break_it()
        with structlog.testing.capture_logs() as lines:
            watch.look()
            watch.look()
        assert [line["log_level"] for line in lines] == ["error"]  # said once for each version of the file
        assert watch.current.authenticate(first)
    file.write_bytes(good)
    file.chmod(0o600)
    run("revoke", first.split("_")[1], "--file", str(file))
    watch.look()
    assert watch.current.authenticate(first) is None
    assert watch.current.authenticate(second)


def test_a_change_that_fails_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "keys.json"
    created(file, "--scope", "publish")
    before = file.read_bytes()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    assert run("create", "--scope", "publish", "--file", str(file)).exit_code == 1
    assert file.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["keys.json"]


def test_where_the_file_is_has_to_be_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("FAIRDISPATCH_SERVICE_KEY_FILE", raising=False)
    assert "FAIRDISPATCH_SERVICE_KEY_FILE is not set" in run("list").stderr
    monkeypatch.setenv("FAIRDISPATCH_SERVICE_KEY_FILE", str(tmp_path / "keys.json"))
    assert "No such file" in run("list").stderr
    assert run("create", "--scope", "publish").exit_code == 0
    assert run("list").exit_code == 0
