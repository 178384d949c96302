"""Which faults and invariants are looked after by which tests."""

from __future__ import annotations

from dataclasses import dataclass

_SUITE = "broker_core/conformance"
_FAULT = "tests/faults"
_REDIS = "tests/adapters/redis_streams"


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong, what has to hold then, and the tests that show it."""

    happens: str
    holds: str
    tests: tuple[str, ...]


FAULTS = (
    Fault(
        "a consumer's process is killed, in the middle of its work or after its effect and before its ack",
        "exactly one more delivery, as soon as the lease is over",
        (
            f"{_FAULT}/test_killed_consumers.py::test_exactly_one_more_delivery",
            f"{_SUITE}/consumer_death.py::TestConsumerDeath::test_c2_a_killed_worker_loses_nothing",
            "tests/examples/test_examples.py::test_the_effect_happens_once_though_the_process_dies_before_its_ack",
        ),
    ),
    Fault(
        "worker processes are killed one after another under load",
        "nothing lost, service never stops for longer than the lease and two seconds",
        (f"{_FAULT}/test_killed_workers.py::test_nothing_is_lost_and_service_never_stops_for_long",),
    ),
    Fault(
        "a consumer's process is suspended for longer than its lease and goes on afterwards",
        "another takes over; what the first one then acks or gives back changes nothing",
        (
            f"{_FAULT}/test_killed_consumers.py::test_a_suspended_consumer_may_neither_ack_nor_give_back",
            f"{_SUITE}/consumer_death.py::TestConsumerDeath::test_c2_a_suspended_worker_is_replaced_and_fenced",
        ),
    ),
    Fault(
        "a server that writes every command to its file is killed",
        "nothing confirmed is lost; callers wait and go on by themselves",
        (
            f"{_SUITE}/broker_restart.py::TestBrokerRestart::test_i1_confirmed_messages_survive_restarts",
            f"{_SUITE}/broker_restart.py::TestBrokerRestart::test_i1_every_state_survives_a_restart",
            f"{_SUITE}/fairness_bound.py::TestFairnessBound::test_f12_fairness_outlives_the_broker",
        ),
    ),
    Fault(
        "a server that writes its file once a second is killed",
        "lost is at most what it confirmed while a write to the disk held it up, and the rest is in order",
        (f"{_FAULT}/test_killed_server.py::test_what_a_killed_server_may_lose",),
    ),
    Fault(
        "the server hangs under traffic, for a second up to half a minute",
        "what may have run is told as unknown and not sent again; with a key it is stored once",
        (
            f"{_FAULT}/test_stopped_server.py::test_a_server_that_hangs",
            f"{_REDIS}/test_lost_answers.py::test_an_unknown_publish_is_not_sent_again",
            f"{_REDIS}/test_lost_answers.py::test_with_keys_it_is_sent_again_and_stored_once",
        ),
    ),
    Fault(
        "a connection is cut, broken off within a reply, half open, silent or slow",
        "an answer that was lost isn't taken for a failure; nothing lost, no restart needed",
        (
            f"{_SUITE}/connection_loss.py::TestConnectionLoss::test_i2_a_cut_in_the_middle_of_a_reply",
            f"{_SUITE}/connection_loss.py::TestConnectionLoss::test_i2_a_verb_whose_reply_was_lost_took_effect_once",
            f"{_SUITE}/connection_loss.py::TestConnectionLoss::test_i2_cuts_again_and_again_lose_nothing",
            f"{_SUITE}/broker_silence.py::TestBrokerSilence::test_i3_a_half_open_connection_is_noticed",
            f"{_SUITE}/broker_silence.py::TestBrokerSilence::test_i6_traffic_through_a_slow_connection",
        ),
    ),
    Fault(
        "the server is at its memory limit",
        "publishing is refused with BrokerFull, consuming goes on and frees memory",
        (
            f"{_REDIS}/test_full_server.py::test_publishing_is_refused_and_consuming_goes_on",
            f"{_REDIS}/test_full_server.py::test_a_batch_of_several_calls_is_refused_as_one",
        ),
    ),
    Fault(
        "a message kills its process, eats its memory or makes its handler fail, every time",
        "it is buried with the reason after the last attempt, its neighbours are served",
        (
            f"{_FAULT}/test_poison.py::test_messages_that_kill_their_process_or_eat_its_memory",
            f"{_SUITE}/consumer_death.py::TestConsumerDeath::test_c5_a_message_that_kills_its_process_is_buried",
            "tests/service/test_work_replacing.py::test_a_crashed_process_is_replaced_and_its_message_handled_again",
        ),
    ),
    Fault(
        "payloads are empty, as large as allowed, or a byte larger",
        "they go through whole, or are refused before the server hears of them",
        (
            f"{_FAULT}/test_sizes.py::test_the_largest_payloads",
            f"{_SUITE}/publish_receive.py::TestPublishReceive::test_a7_a_payload_that_is_too_large_is_refused",
        ),
    ),
    Fault(
        "somebody else has written entries or keys where ours are",
        "they go to the dead letters, the next message is delivered",
        (
            f"{_REDIS}/test_foreign_entries.py::test_foreign_entries_die_and_the_next_message_comes",
            f"{_REDIS}/test_foreign_entries.py::test_a_key_of_another_type",
            f"{_SUITE}/dead_letters.py::TestDeadLetters::test_d5_what_cannot_be_decoded_is_buried",
        ),
    ),
    Fault(
        "the same message is published twice, also by publishers at the same time",
        "one message within the window, and everybody gets its id",
        (
            f"{_SUITE}/dedup.py::TestDedup::test_a8_the_same_key_is_stored_once",
            f"{_SUITE}/dedup.py::TestDedup::test_a8_parallel_publishers_agree",
        ),
    ),
    Fault(
        "the password is wrong, rights are taken away, a certificate isn't trusted, TLS meets plain text",
        "told at once and as final, without a secret in the logs, and not tried again and again",
        (
            f"{_FAULT}/test_credentials.py::test_an_expired_certificate",
            f"{_FAULT}/test_credentials.py::test_an_issuer_that_we_do_not_trust",
            f"{_FAULT}/test_credentials.py::test_plain_text_to_a_port_for_tls",
            f"{_FAULT}/test_credentials.py::test_rights_that_are_taken_in_the_middle",
            f"{_SUITE}/broker_silence.py::TestBrokerSilence::test_i4_a_wrong_password_is_final",
        ),
    ),
    Fault(
        "an operator flushes the server or deletes keys or functions under running consumers",
        "what is gone is gone, what is published afterwards is served",
        (
            f"{_FAULT}/test_removed_keys.py::test_service_goes_on",
            f"{_REDIS}/test_functions.py::test_functions_come_back_when_the_server_lost_them",
            f"{_SUITE}/removal.py::TestRemoval::test_c9_a_leased_message_that_vanished_is_reported",
        ),
    ),
    Fault(
        "a call is cancelled, at whatever point",
        "the cancellation passes at once; nothing is lost, no attempt counted, the connection goes on",
        (
            f"{_REDIS}/test_cancelling.py::test_at_every_point_of_an_idle_receive",
            f"{_REDIS}/test_cancelling.py::test_at_every_point_of_a_receive_that_gets_something",
            f"{_SUITE}/cancellation.py::TestCancellation::test_a6_no_verb_swallows_a_cancellation",
            f"{_SUITE}/cancellation.py::TestCancellation::test_a6_cancelling_leaves_the_dispatcher_in_step",
        ),
    ),
    Fault(
        "a process is asked to end while it works",
        "nothing new starts, what runs finishes and is acked, the rest is given back",
        (
            f"{_SUITE}/worker.py::TestWorker::test_h5_a_process_that_is_told_to_end_finishes",
            "tests/service/test_work_life.py::test_sigterm_lets_what_runs_finish_and_gives_back_the_rest",
            "tests/examples/test_examples.py::test_graceful_shutdown",
        ),
    ),
    Fault(
        "a server function fails half way, at each command in turn",
        "nothing is lost; the ready ring is mended",
        (
            f"{_FAULT}/test_half_way.py::test_nothing_is_lost_when_a_command_fails",
            f"{_REDIS}/test_repair.py::test_a_customer_that_fell_out_of_the_ring_is_put_back",
        ),
    ),
    Fault(
        "two releases work on one server and one namespace",
        "whatever one has begun the other goes on with",
        (
            f"{_SUITE}/releases.py::TestReleases::test_i5_what_one_release_began_the_other_finishes",
            f"{_SUITE}/releases.py::TestReleases::test_i5_nothing_is_lost_while_both_work",
        ),
    ),
    Fault(
        "all of it at random: kills, cuts, slow and hanging servers, restarts",
        "every invariant below",
        (f"{_FAULT}/test_random_mix.py::test_a_random_mix_of_faults",),
    ),
)

_CHECKER = f"{_FAULT}/test_invariants.py::test_a_bad_history_has_its_violation"
_MIX = f"{_FAULT}/test_random_mix.py::test_a_random_mix_of_faults"

# Number in the checker → the tests that show it.
INVARIANTS: dict[str, tuple[str, ...]] = {
    "I1": (_MIX, _CHECKER),
    "I2": (_MIX, _CHECKER),
    "I3": (_MIX, _CHECKER, f"{_FAULT}/test_invariants.py::test_duplicates_are_counted_unless_asked_for"),
    "I4": (_MIX, _CHECKER),
    "I5": (_MIX, _CHECKER),
    "I6": (
        _MIX,
        _CHECKER,
        f"{_FAULT}/test_poison.py::test_messages_that_kill_their_process_or_eat_its_memory",
    ),
    "I7": (
        f"{_FAULT}/test_fairness.py::test_turns_under_faults",
        f"{_FAULT}/test_invariants.py::test_gaps_between_turns",
    ),
    "I9": (_MIX, f"{_FAULT}/test_invariants.py::test_outages"),
    "I10": (_MIX, _CHECKER, f"{_SUITE}/crash_expiry.py::TestCrashAndExpiry::test_c3_extending_keeps_a_lease"),
}

NOT_SHOWN = (
    "loss of power: servers are killed, the machine below them is not",
    "several machines: replicas, failover, a network that is parted",
    "a disk that is full or broken, and the faults of kernels",
    "a server's clock that jumps; consumers' clocks may be wrong by any amount",
)
