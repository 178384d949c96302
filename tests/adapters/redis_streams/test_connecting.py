"""What a wrong setting or a server that doesn't fit leads to: an error that says what to do."""

import asyncio

import pytest
from redis.asyncio import Redis

from broker_core import Message, open_dispatcher
from broker_core.errors import BrokerUnavailable, ConfigurationError
from fair_redis_streams.settings import RedisStreamsSettings
from tests.adapters.silent import Silent
from tests.servers.redis_local import LocalRedis


def test_no_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)
    with pytest.raises(ConfigurationError, match=r"REDIS_URL.*redis://.*embedded:"):
        open_dispatcher("redis")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "http://127.0.0.1",
        "redis://127.0.0.1:port/0",
        "rediss://127.0.0.1:1/0?ssl_cert_reqs=canary",
        "redis://127.0.0.1:1/0?canary=1",
        "redis://user:canary@127.0.0.1:1/abc",
        "redis://127.0.0.1:1/-1",
        "redis://127.0.0.1:1/1/2",
        "redis://127.0.0.1:1/²",
        "redis://127.0.0.1:1?db=-1",
        "unix:///tmp/socket?db=-1",
        "unix:///tmp/socket?db=abc",
        "http://user:canary@127.0.0.1",
    ],
)
async def test_url_that_is_none(url: str) -> None:
    with pytest.raises(ConfigurationError, match="REDIS_URL") as refused:
        await open_dispatcher("redis", url=url).open()
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize("path", ["", "/", "/0", "/3", "/03", "?db=3"])
async def test_a_database_of_the_server(server: LocalRedis, namespace: str, path: str) -> None:
    url = f"redis://{server.host}:{server.port}"
    async with open_dispatcher("redis", url=url + path, namespace=namespace) as dispatcher:
        await dispatcher.publish([Message("acme")])
    async with Redis.from_url(f"{url}/{3 if '3' in path else 0}") as client:
        assert await client.keys(f"*{namespace}*")


async def test_a_database_that_the_server_does_not_have(server: LocalRedis) -> None:
    with pytest.raises(BrokerUnavailable, match=r"database.*REDIS_URL") as refused:
        await open_dispatcher("redis", url=f"redis://{server.host}:{server.port}/99999").open()
    assert not refused.value.retryable


async def test_wrong_password(url: str, client: Redis) -> None:
    await client.acl_setuser(
        "someone", enabled=True, passwords=["+right-canary"], categories=["+@all"], keys=["*"]
    )
    try:
        wrong = url.replace("redis://", "redis://someone:wrong-canary@")
        with pytest.raises(BrokerUnavailable, match="password") as refused:
            await open_dispatcher("redis", url=wrong).open()
        assert not refused.value.retryable
        assert "canary" not in str(refused.value)
        assert "canary" not in repr(refused.value)
        right = url.replace("redis://", "redis://someone:right-canary@")
        async with open_dispatcher("redis", url=right, namespace="password") as dispatcher:
            assert "canary" not in repr(dispatcher.settings)
    finally:
        await client.acl_deluser("someone")


async def test_missing_rights(url: str, client: Redis) -> None:
    await client.acl_setuser("reader", enabled=True, nopass=True, commands=["+ping", "+hello"], keys=["*"])
    try:
        with pytest.raises(BrokerUnavailable, match="right") as refused:
            await open_dispatcher("redis", url=url.replace("redis://", "redis://reader:x@")).open()
        assert not refused.value.retryable
    finally:
        await client.acl_deluser("reader")


async def test_nobody_listens() -> None:
    with pytest.raises(BrokerUnavailable) as missing:
        await open_dispatcher("redis", url="redis://127.0.0.1:1/0").open()
    assert missing.value.retryable
    assert missing.value.__cause__ is not None


@pytest.mark.parametrize("scheme", ["redis", "rediss"])
async def test_a_port_that_speaks_something_else(silent: Silent, scheme: str) -> None:
    url = f"{scheme}://{silent.host}:{silent.port}/0"
    with pytest.raises(BrokerUnavailable, match="rediss:// to one with TLS"):
        await open_dispatcher("redis", url=url, timeout_seconds=0.5).open()
    assert silent.accepted == 1


async def test_a_port_that_answers_as_no_redis_does() -> None:
    def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        with pytest.raises(BrokerUnavailable, match=r"no Redis.*REDIS_URL") as refused:
            await open_dispatcher("redis", url=f"redis://{host}:{port}").open()
    assert not refused.value.retryable


async def test_a_server_that_would_delete_messages(url: str, client: Redis) -> None:
    await client.config_set("maxmemory", 1 << 40)
    await client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        with pytest.raises(ConfigurationError, match="noeviction"):
            await open_dispatcher("redis", url=url, namespace="evicting").open()
    finally:
        await client.config_set("maxmemory-policy", "noeviction")
        await client.config_set("maxmemory", 0)


async def test_another_number_of_shards(url: str, namespace: str) -> None:
    async with open_dispatcher("redis", url=url, namespace=namespace, shards=3) as dispatcher:
        await dispatcher.publish([Message("acme", b"1")])
    with pytest.raises(ConfigurationError, match=r"has 3 shards.*shards=3"):
        await open_dispatcher("redis", url=url, namespace=namespace, shards=2).open()
    async with open_dispatcher("redis", url=url, namespace=namespace) as dispatcher:
        assert len(await dispatcher.receive(1)) == 1


@pytest.mark.parametrize(
    ("name", "value"), [("shards", 0), ("shards", 5000), ("timeout_seconds", 0), ("namespace", "a{b}")]
)
def test_settings_out_of_range(name: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=name):
        open_dispatcher("redis", url="redis://127.0.0.1", **{name: value})


async def test_borrowed_client_stays_open(url: str, client: Redis, namespace: str) -> None:
    async with open_dispatcher("redis", client=client, namespace=namespace) as dispatcher:
        await dispatcher.publish([Message("acme", b"1")])
        await dispatcher.ack(await dispatcher.receive(1, wait=1))
    assert await client.ping()


async def test_borrowed_client_that_decodes(url: str) -> None:
    async with Redis.from_url(url, decode_responses=True) as decoding:
        with pytest.raises(ConfigurationError, match="decode_responses"):
            await open_dispatcher("redis", client=decoding).open()
    with pytest.raises(ConfigurationError, match=r"redis\.asyncio\.Redis"):
        await open_dispatcher("redis", client=object()).open()


def test_only_the_documented_variables_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("URL", "SHARDS", "TIMEOUT_SECONDS", "MAX_CONNECTIONS"):
        monkeypatch.setenv(name, "7")
    loaded = RedisStreamsSettings.load()
    assert (loaded.url, loaded.shards, loaded.timeout_seconds, loaded.max_connections) == (
        None,
        None,
        5.0,
        16,
    )
