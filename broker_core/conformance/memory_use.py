"""K. The memory of a consumer doesn't grow with what waits in the broker."""

from __future__ import annotations

import pytest

from broker_core.conformance.consuming import publish_all
from broker_core.conformance.harness import Harness
from broker_core.conformance.polling import Deadline
from broker_core.conformance.requirements import requires
from broker_core.conformance.sizes import Size
from broker_core.model import Message

PAYLOAD_BYTES = 1000
MOST_BYTES = 24 << 20


class TestMemoryUse:
    """Measured in a process of its own, since only there all memory is the dispatcher's."""

    @requires("processes")
    @pytest.mark.deadline(120)
    async def test_k2_memory_is_bounded_whatever_waits(
        self, harness: Harness, namespace: str, deadline: Deadline, size: Size
    ) -> None:
        """A consumer of a large backlog stays small: at full size there wait 100 MB, and 24 may be used."""
        backlog = size.pick(short=40_000, full=100_000)
        consumed = backlog // 5
        publisher = await harness.open(namespace)
        payload = bytes(PAYLOAD_BYTES)
        await publish_all(publisher, [Message(f"c{number % 100}", payload) for number in range(backlog)])
        worker = await harness.spawn_worker(namespace, "ack", max_messages=100, on_signal=True)
        worker.go()
        await deadline.until(lambda: len(worker.acked) >= consumed, f"{consumed} messages")
        worker.ask_to_stop()
        assert await worker.ended() == 0
        before, *_, peak = worker.peaks_bytes
        assert len(worker.peaks_bytes) == 3
        assert peak - before < MOST_BYTES, f"{(peak - before) >> 20} MiB more with {backlog} waiting"
