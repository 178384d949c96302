"""What a wrong setting or a server that doesn't fit leads to: an error that says what to do."""

from __future__ import annotations

import asyncio
import ssl

import pytest
import trustme

from broker_core import open_dispatcher
from broker_core.errors import BrokerUnavailable, ConfigurationError
from tests.adapters.silent import Silent


def test_no_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RABBITMQ_URL", raising=False)
    with pytest.raises(ConfigurationError, match=r"RABBITMQ_URL.*amqp://"):
        open_dispatcher("rabbitmq")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost",
        "localhost:5672",
        "redis://127.0.0.1:6379/0",
        "amqp://",
        "amqp://user:canary@/vhost",
        "amqp://user:canary@:5672/",
        "amqp://user:canary@127.0.0.1:abc/",
        "amqp://user:canary@127.0.0.1:0/",
        "amqp://user:canary@127.0.0.1:70000/",
        "amqp://user:canary/canary@127.0.0.1/",
        "amqp://user:canary@[::1/",
    ],
)
def test_url_that_is_none(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"RABBITMQ_URL.*amqps://") as refused:
        open_dispatcher("rabbitmq", url=url)
    assert "canary" not in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("url", ["amqp://127.0.0.1:1", "amqp://user:p%40ss@127.0.0.1:1/vhost?cafile=x"])
async def test_nobody_listens(url: str) -> None:
    with pytest.raises(BrokerUnavailable) as missing:
        await open_dispatcher("rabbitmq", url=url).open()
    assert missing.value.retryable


def test_a_url_may_leave_out_the_port_or_use_tls() -> None:
    for url in ("amqp://host", "amqps://user:secret@host:5671/vhost", "amqp://[::1]:5672/"):
        open_dispatcher("rabbitmq", url=url)


@pytest.mark.parametrize("scheme", ["amqp", "amqps"])
async def test_a_port_that_speaks_something_else(silent: Silent, scheme: str) -> None:
    url = f"{scheme}://{silent.host}:{silent.port}/"
    with pytest.raises(BrokerUnavailable, match="amqps:// to one with TLS"):
        await open_dispatcher("rabbitmq", url=url, timeout_seconds=0.5).open()
    assert silent.accepted == 2  # one for publishing, one for consuming


async def test_a_certificate_that_is_not_trusted_here() -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    async with await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=context) as server:
        host, port = server.sockets[0].getsockname()
        with pytest.raises(BrokerUnavailable, match="certificate") as refused:
            await open_dispatcher("rabbitmq", url=f"amqps://{host}:{port}/").open()
    assert not refused.value.retryable
