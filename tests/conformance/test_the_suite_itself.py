"""The suite finds a broker that breaks the contract: each broken one turns the named test red."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from broker_core.conformance import suite as tests
from broker_core.conformance.polling import Deadline
from broker_core.conformance.sizes import Size
from broker_core.errors import DispatcherError
from fair_memory.adapter import MemoryAdapter
from fair_memory.broker import MemoryBroker
from tests.conformance import broken
from tests.conformance.memory_harness import MemoryHarness

_DEADLINE_SECONDS = 2.0

Case = Callable[..., Coroutine[Any, Any, None]]

RED: list[tuple[type[MemoryBroker] | type[MemoryAdapter], Case]] = [
    (broken.AcksOnNack, tests.TestGivingBack.test_b6_a_nacked_message_comes_again_as_the_next_attempt),
    (
        broken.IgnoresTheCustomer,
        tests.TestPublishReceive.test_a1_what_was_published_before_any_consumer_arrives_whole,
    ),
    (broken.FirstInFirstOut, tests.TestFairness.test_f1_customers_take_turns),
    (broken.FirstInFirstOut, tests.TestFairness.test_f2_a_flood_does_not_delay_another),
    (broken.AcceptsStaleReceipts, tests.TestFencing.test_b9_attempt_numbers_are_no_fence),
    (broken.NeverExpires, tests.TestCrashAndExpiry.test_c1_an_expired_lease_goes_to_another),
    (broken.ExpiresEarly, tests.TestCrashAndExpiry.test_c1_an_expired_lease_goes_to_another),
    (broken.ForgetsAttempts, tests.TestAttempts.test_d9_attempts_are_counted_for_each_message_alone),
    (broken.CountsReleases, tests.TestGivingBack.test_b11_release_keeps_the_attempts_before_it),
    (broken.ReleasesToTheTail, tests.TestGivingBack.test_b11_release_restores_place_and_attempt),
    (broken.LeaksCustomers, tests.TestIntrospection.test_j2_nothing_stays_but_what_is_documented),
    (broken.LosesWhenMany, tests.TestLimits.test_k1_ten_thousand_at_once),
    (broken.GrantsWithEachReceive, tests.TestFairnessBound.test_f12_fairness_outlives_the_dispatchers),
    (broken.KeepsCredit, tests.TestFairness.test_f6_idle_time_earns_no_credit),
    (broken.IgnoresWeights, tests.TestFairness.test_f4_weights_are_shares),
    (broken.IgnoresCosts, tests.TestFairness.test_f16_the_wait_of_a_newcomer_is_bounded),
    (broken.RecoveredGoFirst, tests.TestConsumerDeath.test_c10_recovered_messages_are_shared_fairly),
    (broken.DelaysWholeCustomers, tests.TestGivingBack.test_b7_a_delayed_nack_waits_and_holds_nobody_up),
    (broken.ForgetsKeys, tests.TestDedup.test_a8_the_same_key_is_stored_once),
    (broken.MixesKeys, tests.TestDedup.test_a8_another_customer_or_key_is_another_message),
    (broken.Oversleeps, tests.TestLeases.test_b2_a_waiting_receive_wakes_up),
    (broken.LosesWhenCancelled, tests.TestCancellation.test_a6_what_a_cancelled_receive_took_comes_again),
    (broken.Spins, tests.TestLeases.test_b2_an_empty_receive_waits_as_long_as_told),
    (broken.SwallowsCancellation, tests.TestCancellation.test_a6_no_verb_swallows_a_cancellation),
]


def adapter_over(kind: type[MemoryBroker]) -> type[MemoryAdapter]:
    class Adapter(MemoryAdapter):
        broker_type = kind

    return Adapter


async def run(test: Case, adapter: type[MemoryAdapter]) -> None:
    """Run one test of the suite against that adapter."""
    async with MemoryHarness(adapter) as harness:
        offered = {
            "self": None,
            "harness": harness,
            "namespace": harness.namespace(),
            "deadline": Deadline(_DEADLINE_SECONDS),
            "size": Size("short"),
            "max_attempts": 1,
        }
        await test(**{name: offered[name] for name in inspect.signature(test).parameters})


@pytest.mark.parametrize(("kind", "test"), RED, ids=lambda it: it.__name__)
async def test_a_broken_broker_is_found(kind: type[MemoryBroker] | type[MemoryAdapter], test: Case) -> None:
    adapter = kind if issubclass(kind, MemoryAdapter) else adapter_over(kind)
    with pytest.raises((AssertionError, DispatcherError, TimeoutError, KeyError)):
        await run(test, adapter)


@pytest.mark.parametrize("test", dict.fromkeys(test for _, test in RED), ids=lambda it: it.__name__)
async def test_the_sound_broker_passes(test: Case) -> None:
    """The same tests under the same deadline, so that they were red for the right reason."""
    await run(test, MemoryAdapter)
