"""One clock, the server's: a consumer whose own clock is wrong makes no difference."""

import time
from datetime import timedelta

import pytest

from broker_core import Message, open_dispatcher

LEASE_SECONDS = 0.7


@pytest.mark.parametrize("wrong_by_seconds", [3600, -3600])
async def test_leases_go_by_the_servers_clock(
    url: str, namespace: str, monkeypatch: pytest.MonkeyPatch, wrong_by_seconds: int
) -> None:
    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() + wrong_by_seconds)
    async with (
        open_dispatcher("redis", url=url, namespace=namespace, lease_seconds=LEASE_SECONDS) as first,
        open_dispatcher("redis", url=url, namespace=namespace, lease_seconds=LEASE_SECONDS) as second,
    ):
        await first.publish(Message("acme", b"1"))
        (held,) = await first.receive(1)
        assert abs(held.lease_until.timestamp() - LEASE_SECONDS - right()) < 60
        assert abs(held.published_at.timestamp() - right()) < 60
        (recovered,) = await second.receive(1, wait=10)
        assert (recovered.id, recovered.attempt) == (held.id, 2)
        assert recovered.lease_until - timedelta(seconds=LEASE_SECONDS) >= held.lease_until
        (delayed,) = await second.extend(recovered, 5)
        assert abs(delayed.timestamp() - 5 - right()) < 60
