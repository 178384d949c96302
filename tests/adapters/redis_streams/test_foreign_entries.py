"""Entries and keys that somebody else has written."""

import pytest
from redis.asyncio import Redis

from broker_core import FairDispatcher, Message
from broker_core.errors import BrokerUnavailable, PublishFailed


def stream(namespace: str, customer: str) -> str:
    return f"{{{namespace}:0}}:ready:{customer}"


async def test_foreign_entries_die_and_the_next_message_comes(
    dispatcher: FairDispatcher, client: Redis, namespace: str
) -> None:
    await dispatcher.publish([Message("acme", b"1")])
    key = stream(namespace, "acme")
    await client.xadd(key, {"foo": "bar", "n": "1"})
    await client.xadd(key, {"m": b"\xff\xff no envelope"})
    await client.xadd(key, {"m": b"", "c": "many"})
    await dispatcher.publish([Message("acme", b"2")])
    got = [*await dispatcher.receive(10), *await dispatcher.receive(10)]
    assert [delivery.message.payload for delivery in got] == [b"1", b"2"]
    letters = await dispatcher.dead_letters("acme")
    assert {letter.reason for letter in letters} == {"undecodable entry"}
    payloads = {letter.message.payload for letter in letters}
    assert payloads == {b"foo=bar\nn=1", b"\xff\xff no envelope", b"m=\nc=many"}
    await dispatcher.ack(got)
    assert (await dispatcher.backlog()).ready == 0


async def test_an_entry_ahead_of_our_ids(dispatcher: FairDispatcher, client: Redis, namespace: str) -> None:
    (first,) = await dispatcher.publish([Message("acme", b"1")])
    ahead = int(first.split("-")[0]) + 5_000
    await client.xadd(stream(namespace, "acme"), {"foo": "bar"}, id=f"{ahead}-7")
    ids = await dispatcher.publish([Message("acme", b"2"), Message("acme", b"3"), Message("other", b"4")])
    assert len({first, *ids}) == 4
    got = await dispatcher.receive(10)
    assert [d.message.payload for d in got if d.customer == "acme"] == [b"1", b"2", b"3"]
    assert sorted(d.id for d in got) == sorted([first, *ids])


async def test_an_entry_with_the_last_possible_id(
    dispatcher: FairDispatcher, client: Redis, namespace: str
) -> None:
    await client.xadd(stream(namespace, "acme"), {"foo": "bar"}, id=f"{2**64 - 1}-{2**64 - 1}")
    with pytest.raises(PublishFailed) as failed:
        await dispatcher.publish([Message("other", b"1"), Message("acme", b"2")])
    assert list(failed.value.stored) == [0]
    assert isinstance(failed.value.rejected[1], BrokerUnavailable)
    assert not failed.value.rejected[1].retryable
    assert [d.message.payload for d in await dispatcher.receive(10)] == [b"1"]


async def test_a_key_of_another_type(dispatcher: FairDispatcher, client: Redis, namespace: str) -> None:
    await client.set(stream(namespace, "acme"), "not a stream")
    with pytest.raises(PublishFailed) as failed:
        await dispatcher.publish([Message("acme", b"1"), Message("other", b"2")])
    assert list(failed.value.stored) == [1]
    assert [d.message.payload for d in await dispatcher.receive(10)] == [b"2"]
