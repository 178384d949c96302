"""What the server refuses us for is told at once, without secrets, and isn't tried again and again."""

from __future__ import annotations

import datetime
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import trustme
from redis.asyncio import Redis

from broker_core import Backlog, Message, Worker, open_dispatcher
from broker_core.errors import BrokerUnavailable
from broker_core.model import Delivery
from tests.servers.redis_local import LocalRedis, debian_redis, free_port

SECRET = "canary-of-a-secret"


class SecureRedis(LocalRedis):
    """A server that listens for TLS too, with a certificate for 127.0.0.1."""

    def __init__(self, issuer: trustme.CA, folder: Path, **validity: Any) -> None:
        self.tls_port = free_port()
        certificate = issuer.issue_cert("127.0.0.1", **validity)
        chain, key = folder / "chain.pem", folder / "key.pem"
        certificate.private_key_pem.write_to_path(str(key))
        for part in certificate.cert_chain_pems:
            part.write_to_path(str(chain), append=True)
        options = (
            "--tls-cert-file",
            str(chain),
            "--tls-key-file",
            str(key),
            "--tls-ca-cert-file",
            str(chain),
        )
        more = ("--tls-port", str(self.tls_port), "--tls-auth-clients", "no")
        super().__init__(debian_redis(), options=(*options, *more))


@pytest.fixture(scope="module")
def authority(redis7: object, tmp_path_factory: pytest.TempPathFactory) -> tuple[trustme.CA, Path]:
    """An issuer of certificates and the file to trust it by."""
    issuer = trustme.CA()
    path = tmp_path_factory.mktemp("authority") / "authority.pem"
    issuer.cert_pem.write_to_path(str(path))
    return issuer, path


@pytest.fixture(scope="module")
def secure(
    authority: tuple[trustme.CA, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SecureRedis]:
    server = SecureRedis(authority[0], tmp_path_factory.mktemp("secure"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def expired(
    authority: tuple[trustme.CA, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SecureRedis]:
    past = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=3)
    server = SecureRedis(authority[0], tmp_path_factory.mktemp("expired"), not_after=past)
    server.start()
    yield server
    server.stop()


def secure_url(port: int, trusted: Path, scheme: str = "rediss") -> str:
    return f"{scheme}://default:{SECRET}@127.0.0.1:{port}/0?ssl_ca_certs={quote(str(trusted))}"


async def refused(url: str) -> BrokerUnavailable:
    """Return the error of open, which must come soon."""
    began = time.monotonic()
    with pytest.raises(BrokerUnavailable) as error:
        await open_dispatcher("redis", url=url, namespace="refused", timeout_seconds=1.0).open()
    assert time.monotonic() - began < 5
    cause: BaseException | None = error.value
    while cause is not None:
        assert SECRET not in f"{cause} {cause!r}"
        cause = cause.__cause__
    return error.value


async def test_a_certificate_that_we_trust(secure: SecureRedis, authority: tuple[trustme.CA, Path]) -> None:
    url = secure_url(secure.tls_port, authority[1]).replace(f"default:{SECRET}@", "")
    async with open_dispatcher("redis", url=url, namespace="tls") as dispatcher:
        await dispatcher.publish(Message("acme", b"1"))
        await dispatcher.ack(await dispatcher.receive(1))
        assert await dispatcher.backlog() == Backlog()


async def test_an_issuer_that_we_do_not_trust(secure: SecureRedis, tmp_path: Path) -> None:
    stranger = tmp_path / "stranger.pem"
    trustme.CA().cert_pem.write_to_path(str(stranger))
    error = await refused(secure_url(secure.tls_port, stranger))
    assert not error.retryable
    assert "ssl_ca_certs" in str(error)


async def test_an_expired_certificate(expired: SecureRedis, authority: tuple[trustme.CA, Path]) -> None:
    error = await refused(secure_url(expired.tls_port, authority[1]))
    assert not error.retryable
    assert "certificate" in str(error)


async def test_plain_text_to_a_port_for_tls(secure: SecureRedis) -> None:
    await refused(f"redis://default:{SECRET}@127.0.0.1:{secure.tls_port}/0")


async def test_tls_to_a_port_for_plain_text(secure: SecureRedis, authority: tuple[trustme.CA, Path]) -> None:
    await refused(secure_url(secure.port, authority[1]))


async def test_rights_that_are_taken_in_the_middle(
    redis7: LocalRedis, caplog: pytest.LogCaptureFixture
) -> None:
    """Verbs say that waiting is useless, a worker ends by that; with the rights back all goes on."""
    caplog.set_level(logging.DEBUG)
    async with Redis.from_url(redis7.url) as client:
        await client.acl_setuser(
            "fickle", enabled=True, passwords=[f"+{SECRET}"], keys=["*"], categories=["+@all"]
        )
        url = redis7.url.replace("redis://", f"redis://fickle:{SECRET}@")
        try:
            async with open_dispatcher("redis", url=url, namespace="fickle") as dispatcher:
                await dispatcher.publish([Message("acme", b"1"), Message("acme", b"2")])
                held = await dispatcher.receive(1)
                await client.acl_setuser("fickle", enabled=True, commands=["-fcall"])
                calls_before = await rejected_calls(client)
                for call in (
                    dispatcher.publish(Message("acme", b"3")),
                    dispatcher.receive(1, wait=5),
                    dispatcher.ack(held),
                    dispatcher.nack(held),
                    dispatcher.extend(held),
                    dispatcher.backlog(),
                    Worker(dispatcher, never).run(),
                ):
                    with pytest.raises(BrokerUnavailable) as error:
                        await call
                    assert not error.value.retryable
                    assert SECRET not in f"{error.value} {error.value.__cause__!r}"
                assert await rejected_calls(client) - calls_before < 30, "it was tried again and again"
                await client.acl_setuser("fickle", enabled=True, commands=["+fcall"])
                await dispatcher.ack(held)
                (second,) = await dispatcher.receive(10, wait=10)
                assert second.message.payload == b"2"
                await dispatcher.ack(second)
                assert await dispatcher.backlog() == Backlog()
        finally:
            await client.acl_deluser("fickle")
    assert SECRET not in caplog.text


async def never(delivery: Delivery) -> None:
    raise AssertionError(f"nothing should be delivered, but this was: {delivery}")


async def rejected_calls(client: Redis) -> int:
    stats = await client.info("commandstats")
    return sum(entry["rejected_calls"] for name, entry in stats.items() if name == "cmdstat_fcall")
