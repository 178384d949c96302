"""Adapters for Redis that break the contract, each in one way, to show that the tests find it.

As a plugin of pytest (`-p tests.conformance.redis_faults --redis-fault NAME`) it breaks the adapter of the
whole run by rewriting the source of the server functions, or of a module, before it is used.
"""

from __future__ import annotations

import hashlib
import importlib
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from fair_redis_streams import library
from fair_redis_streams.library import Library

CONTRACT = "tests/conformance/test_redis7.py"
SPECIFIC = "tests/adapters/redis_streams"
# Broken on purpose, most tests would wait for what never comes.
_DEADLINE_SECONDS = 4.0


@dataclass(frozen=True, slots=True)
class Edit:
    """Replaces a text that occurs exactly `times`, in a module of the adapter, or in the server functions."""

    old: str
    new: str
    times: int = 1
    module: str | None = None

    def apply(self, source: str) -> str:
        """Return the changed source; raise AssertionError when it isn't what the edit was made for."""
        found = source.count(self.old)
        assert found == self.times, f"{self.old!r} occurs {found} times, not {self.times}"
        return source.replace(self.old, self.new)


@dataclass(frozen=True, slots=True)
class Fault:
    """One way of being broken. red: the test that finds it; says: part of what it then reports."""

    does: str
    edits: tuple[Edit, ...]
    red: str
    says: str
    quick: bool = False


def contract(test: str, parameters: str = "1-shard") -> str:
    return f"{CONTRACT}::{test}[{parameters}]"


def specific(file: str, test: str, parameters: str = "redis7") -> str:
    return f"{SPECIFIC}/{file}::{test}[{parameters}]"


FAULTS: dict[str, Fault] = {
    "no_recovery": Fault(
        "the end of a lease is never noticed",
        (
            Edit(
                "redis.call('ZADD', s.leases, call.deadline, call.token)",
                "redis.call('ZADD', s.leases, call.deadline + 86400000, call.token)",
            ),
        ),
        contract("TestCrashAndExpiry::test_c1_an_expired_lease_goes_to_another"),
        "assert (",
        quick=True,
    ),
    "no_allow_oom": Fault(
        "a full server refuses everything that writes, not only publish",
        (Edit("{ 'allow-oom' }", "{}", times=16),),
        specific("test_full_server.py", "test_publishing_is_refused_and_consuming_goes_on"),
        "BrokerFull: Redis has reached maxmemory",
        quick=True,
    ),
    "publish_ignores_the_limit": Fault(
        "a full server takes new messages",
        (Edit("operation('publish', {}, ", "operation('publish', { 'allow-oom' }, "),),
        specific("test_full_server.py", "test_a_batch_of_several_calls_is_refused_as_one"),
        "DID NOT RAISE",
    ),
    "resending_client": Fault(
        "a publish whose answer was lost is sent again, whether its messages have keys or not",
        (
            Edit(
                "self._half_window_ms > 0 and all(message.id is not None for _, message, _ in chunk)",
                "True",
                module="publishing",
            ),
        ),
        specific("test_lost_answers.py", "test_a_message_without_key_is_never_stored_twice"),
        "assert 2 == 1",
        quick=True,
    ),
    "no_fence_in_ack": Fault(
        "an ack by the old owner of a lease counts as success",
        (
            Edit(
                "if came_back[i] and redis.call('HEXISTS', s.lease_of .. token, ref) == 0 then",
                "if false then",
            ),
        ),
        contract("TestFencing::test_b9_the_old_owner_is_fenced", "1-shard-two"),
        "ack of a lost lease: None",
        quick=True,
    ),
    "no_fence_in_nack": Fault(
        "whoever once held a message may give it back, bury it or release it",
        (
            Edit(
                "  if not record then return nil end\n",
                "  for _, other in ipairs(redis.call('ZRANGE', s.leases, 0, -1)) do\n"
                "    record = record or redis.call('HGET', s.lease_of .. other, ref)\n"
                "  end\n"
                "  if not record then return nil end\n",
            ),
        ),
        contract("TestFencing::test_b9_attempt_numbers_are_no_fence"),
        "nack of a lost lease: None",
        quick=True,
    ),
    "clients_clock": Fault(
        "the end of a lease is computed by the consumer's clock",
        (
            Edit("local deadline = s.now + tonumber(args[2])", "local deadline = tonumber(args[2])"),
            Edit(
                "                self._lease_ms,\n",
                "                int(__import__('time').time() * 1000) + self._lease_ms,\n",
                module="receiving",
            ),
        ),
        specific("test_clock.py", "test_leases_go_by_the_servers_clock", "redis7-3600"),
        "assert 3599",
        quick=True,
    ),
    "ring_entry_dropped": Fault(
        "the first message of a customer that was idle is stored, but the customer isn't scheduled",
        (
            Edit(
                "        join(s, customer)\n        if field then remember_id",
                "        if number % 7 > 0 then join(s, customer) end\n        if field then remember_id",
            ),
        ),
        contract("TestIsolation::test_g2_customers_are_separate_whatever_their_names"),
        "Extra items in the right set",
        quick=True,
    ),
    "no_undo": Fault(
        "what a receive took whose answer was lost waits for the end of its lease",
        (Edit("  undo_token(s, args[1])\n", ""),),
        specific("test_lost_answers.py", "test_a_receive_whose_answer_was_lost_costs_nothing"),
        "assert [] ==",
    ),
    "late_receives_take": Fault(
        "a receive that reaches the server after it was given up takes messages for nobody",
        (Edit("if redis.call('ZSCORE', s.void, token) then return { 0, -1, 0 } end", ""),),
        specific("test_lost_answers.py", "test_a_receive_that_reaches_the_server_after_it_was_given_up"),
        "== [0, -1]",
    ),
    "no_dedup": Fault(
        "keys are not remembered",
        (Edit("if field then remember_id(s, half_ms, field, id) end", ""),),
        contract("TestDedup::test_a8_the_same_key_is_stored_once"),
        "At index 0 diff",
    ),
    "messages_stay": Fault(
        "what was handed over stays in the stream as well",
        (Edit("redis.call('XDEL', stream[1], unpack(stream[2]))", "local _ = stream"),),
        contract("TestLeases::test_b1_each_message_goes_to_one_consumer"),
        "confirmed messages were lost",
    ),
    "leaks_bookkeeping": Fault(
        "a message that came back once leaves a trace when it is acked",
        (Edit("if some_again then redis.call('HDEL', s.again, unpack(refs)) end", ""),),
        contract("TestIntrospection::test_j2_nothing_stays_but_what_is_documented"),
        ":again",
    ),
    "miscounts": Fault(
        "the number of leased messages is not lowered by ack",
        (Edit("if removed > 0 then changes[customer]", "if false then changes[customer]"),),
        contract("TestIntrospection::test_j1_counts_are_exact_in_every_state"),
        "leased: 10 != 9",
    ),
    "quantum_for_each_receive": Fault(
        "a visit that was cut short ends, and the next receive grants anew",
        (Edit("schedule.visiting = stored > 0", "schedule.visiting = false"),),
        contract("TestFairnessBound::test_f15_a_visit_cut_short_goes_on", "1-shard-15"),
        "drift apart",
    ),
    "no_wake": Fault(
        "a waiting receive isn't told that there is something",
        (Edit("if s.joined then wake(s) end", ""),),
        contract("TestLeases::test_b2_a_waiting_receive_wakes_up"),
        "TimeoutError",
    ),
    "functions_are_not_reloaded": Fault(
        "a server is given the functions once, and not when it has lost them",
        (
            Edit(
                "if listed:",
                "if listed or self.__dict__.setdefault('loads', []).append(1) or len(self.loads) > 1:",
                module="server",
            ),
        ),
        specific("test_functions.py", "test_functions_come_back_when_the_server_lost_them"),
        "Function not found",
    ),
    "vanished_are_counted": Fault(
        "messages that somebody removed while they were leased are counted for ever",
        (Edit("  forget_vanished(s)\n", ""),),
        contract("TestRemoval::test_c9_the_customer_goes_on"),
        "leased: 4 != 1",
    ),
    "idle_in_the_ring_is_unlisted": Fault(
        "a customer with a policy alone isn't listed until its turn in the ring has come",
        (
            Edit(
                "if idle and stage == #tables or",
                "if idle and stage == #tables and not seen_before(customer) or",
            ),
        ),
        contract("TestIntrospection::test_j1_a_customer_with_a_policy_alone_is_listed"),
        "assert [] ==",
    ),
    "each_release_its_own_keys": Fault(
        "a key that one release has remembered isn't known to the next one",
        (
            Edit(
                "key ~= '' and customer .. '\\0' .. key",
                "key ~= '' and PREFIX .. customer .. '\\0' .. key",
            ),
        ),
        contract("TestReleases::test_i5_releases_agree_on_keys_and_policies"),
        "At index 0 diff",
    ),
    "no_repair": Fault(
        "a ring that lacks a customer stays so",
        (Edit("missing = [customer async for", "missing = [] and [customer async for", module="repair"),),
        specific("test_repair.py", "test_a_customer_that_fell_out_of_the_ring_is_put_back"),
        "only {",
    ),
}


def broken_library(fault: Fault) -> Library:
    """Return the server functions with the fault in them, under a name of their own."""
    sound = library.library()
    body = sound.source
    for edit in fault.edits:
        if edit.module is None:
            body = edit.apply(body)
    old, new = sound.prefix[3:-1], hashlib.sha256(body.encode()).hexdigest()[:12]
    return Library(sound.name.replace(old, new), body.replace(old, new), f"fd_{new}_")


def break_adapter(fault: Fault) -> None:
    """Rewrite the adapter in this process; it must not have been used before."""
    assert "fair_redis_streams.adapter" not in sys.modules, "the adapter is in use already"
    broken = broken_library(fault)
    library.library = lambda: broken  # type: ignore[assignment]
    for edit in fault.edits:
        if edit.module is not None:
            _rewrite_module(edit)


def _rewrite_module(edit: Edit) -> None:
    module = importlib.import_module(f"fair_redis_streams.{edit.module}")
    assert module.__file__ is not None
    source = edit.apply(Path(module.__file__).read_text("utf-8"))
    exec(compile(source, module.__file__, "exec"), module.__dict__)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--redis-fault", choices=["none", *FAULTS], default="none")


def pytest_configure(config: pytest.Config) -> None:
    # Not imported above: pytest wants to load its plugins itself.
    conformance = importlib.import_module("broker_core.conformance.plugin")
    conformance._DEADLINE_SECONDS = _DEADLINE_SECONDS  # type: ignore[attr-defined]
    name = config.getoption("--redis-fault")
    if name != "none":
        break_adapter(FAULTS[name])
