"""How the outcomes of one batch become one result or one error."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from broker_core import FairDispatcher, Message
from broker_core.adapter import OutcomeUnknown
from broker_core.errors import BacklogFull, BrokerFull, BrokerUnavailable, DispatcherError, PublishFailed
from fair_memory.adapter import MemoryAdapter
from tests.unit.helpers import memory_settings

Outcome = str | DispatcherError

FULL, LIMIT, UNKNOWN = BrokerFull("no room"), BacklogFull("limit"), OutcomeUnknown("answer lost")


class DictatedOutcomes(MemoryAdapter):
    """Answers as told, since no broker gives these answers on demand."""

    outcomes: Sequence[Outcome] = ()

    async def publish(self, messages: Sequence[Message]) -> list[Outcome]:
        del messages
        return list(self.outcomes)


async def failure(*outcomes: Outcome) -> DispatcherError:
    settings = memory_settings()
    adapter = DictatedOutcomes(settings)
    adapter.outcomes = outcomes
    async with FairDispatcher(adapter, settings) as dispatcher:
        with pytest.raises(DispatcherError) as caught:
            await dispatcher.publish([Message("a")] * len(outcomes))
    assert dispatcher.counts["published"] == sum(isinstance(outcome, str) for outcome in outcomes)
    return caught.value


@pytest.mark.parametrize("outcomes", [[FULL], [FULL, BrokerFull("no room")], [LIMIT, LIMIT]])
async def test_one_cause_for_all_is_that_error_itself(outcomes: list[Outcome]) -> None:
    assert await failure(*outcomes) is outcomes[0]


@pytest.mark.parametrize(
    ("outcomes", "stored", "rejected", "unknown"),
    [
        (["1-1", FULL], {0: "1-1"}, {1: FULL}, []),
        ([FULL, LIMIT], {}, {0: FULL, 1: LIMIT}, []),
        ([UNKNOWN], {}, {}, [0]),
        ([UNKNOWN, FULL, "1-1", UNKNOWN], {2: "1-1"}, {1: FULL}, [0, 3]),
        (["1-1", UNKNOWN], {0: "1-1"}, {}, [1]),
    ],
)
async def test_anything_mixed_or_unknown_tells_the_fate_of_each(
    outcomes: list[Outcome], stored: dict[int, str], rejected: dict[int, DispatcherError], unknown: list[int]
) -> None:
    error = await failure(*outcomes)
    assert isinstance(error, PublishFailed)
    assert (error.stored, error.rejected, error.unknown) == (stored, rejected, unknown)
    assert error.__cause__ is next(outcome for outcome in outcomes if not isinstance(outcome, str))
    assert error.retryable


async def test_what_concerns_the_whole_call_is_raised_as_it_is() -> None:
    class Absent(MemoryAdapter):
        async def publish(self, messages: Sequence[Message]) -> list[Outcome]:
            raise BrokerUnavailable("nobody answers")

    settings = memory_settings()
    async with FairDispatcher(Absent(settings), settings) as dispatcher:
        with pytest.raises(BrokerUnavailable):
            await dispatcher.publish(Message("a"))


async def test_a_single_message_is_a_batch_of_one() -> None:
    settings = memory_settings()
    async with FairDispatcher(MemoryAdapter(settings), settings) as dispatcher:
        (stored,) = await dispatcher.publish(Message("a"))
        ids = await dispatcher.publish(Message("a") for _ in range(3))
        assert len({stored, *ids}) == 4
