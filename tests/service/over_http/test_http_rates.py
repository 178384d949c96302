"""How often a key may ask."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from time import monotonic

import httpx
import pytest

from broker_core.conformance.polling import Deadline
from fair_dispatcher.http import rates
from fair_dispatcher.http.problems import Problem
from fair_dispatcher.http.rates import VALUE_BYTES, Rates
from fair_dispatcher.http.shared_table import SharedTable, make_table
from tests.service.over_http.brokers import Place
from tests.service.over_http.inside import EVERYTHING, problem, served
from tests.service.over_http.serving import serving


def test_a_bucket_refills_with_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(rates, "monotonic", lambda: now)
    limits = Rates(SharedTable(make_table(100, VALUE_BYTES), VALUE_BYTES), 10.0, 2.0)
    for _ in range(20):
        limits.use(None)
    with pytest.raises(Problem) as caught:
        limits.use(None)
    assert caught.value.retry_after == pytest.approx(0.1)
    now += 0.1
    limits.use(None)
    now += 1000
    limits.use(None, 50)  # more than there is: let through, and paid for afterwards
    with pytest.raises(Problem) as caught:
        limits.use(None)
    assert caught.value.retry_after == pytest.approx(3.1)


async def test_each_key_has_its_own(in_memory: Place) -> None:
    settings = {"rate": 5.0, "burst_seconds": 1.0}
    async with served(in_memory, settings) as api, api.with_key(*EVERYTHING) as busy:
        for _ in range(5):
            assert (await busy.get("/v1/customers")).status_code == 200
        answer = await busy.get("/v1/customers")
        assert (problem(answer), answer.status_code, answer.headers["retry-after"]) == (
            "rate-limited",
            429,
            "1",
        )
        assert (await busy.get("/health/live")).status_code == 200
        async with api.with_key(*EVERYTHING) as calm, api.with_key(*EVERYTHING, rate=1e6) as quick:
            assert (await calm.get("/v1/customers")).status_code == 200
            for _ in range(20):
                assert (await quick.get("/v1/customers")).status_code == 200


async def test_all_processes_of_a_service_share_it(
    on_redis: Place, tmp_path: Path, deadline: Deadline
) -> None:
    # 20 at once, and another every two seconds.
    environment = {"FAIRDISPATCH_SERVICE_RATE": "0.5", "FAIRDISPATCH_SERVICE_BURST_SECONDS": "40"}
    with serving(on_redis, tmp_path, "--processes", "2", environment=environment) as served:
        url = await served.url(deadline, 2)
        headers = {"authorization": f"Bearer {served.token}", "connection": "close"}
        begin = monotonic()
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60) as client:
            answers = await asyncio.gather(*(client.get("/v1/customers") for _ in range(100)))
            # A process that is renewed begins with what is left.
            served.run.send(signal.SIGHUP)
            await served.run.until_logged("all worker processes are new", deadline)
            answers += await asyncio.gather(*(client.get("/v1/customers") for _ in range(100)))
        passed = sum(answer.status_code == 200 for answer in answers)
        assert 20 <= passed <= 20 + 0.5 * (monotonic() - begin)
        assert {answer.status_code for answer in answers} == {200, 429}
