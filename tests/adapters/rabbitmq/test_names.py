"""Names in the broker, ids and receipts."""

from __future__ import annotations

import pytest

from broker_core.errors import InvalidArgument
from fair_rabbitmq.leases import Recent
from fair_rabbitmq.receipts import Receipts, claims_of, dispatcher_name
from fair_rabbitmq.records import Ids, place_of, published_at
from fair_rabbitmq.topology import Topology


def test_customers_never_share_a_queue_whatever_their_names() -> None:
    topology = Topology("n")
    names = ["a", "A", "a b", "a_b", "a/b", "x" * 200, "x" * 199 + "y", "🙂" * 200, "سلام"]
    queues = {topology.queue(name, 1) for name in names}
    assert len(queues) == len(names)
    assert all(len(queue.encode()) <= 255 for queue in queues)


def test_namespaces_do_not_overlap() -> None:
    names = ["n", "n-", "n.0", "n_1", "n1"]
    objects = {Topology(name).queue("a", 1) for name in names} | {Topology(name).journal for name in names}
    assert len(objects) == 2 * len(names)


def test_customers_that_share_queues_use_all_of_them() -> None:
    topology = Topology("n", hashed_queues=8)
    assert len({topology.owner_of(f"c{number}") for number in range(200)}) == 8


def test_ids_grow_and_tell_when() -> None:
    ids = Ids()
    made = [ids.next() for _ in range(1000)]
    assert len(set(made)) == 1000
    assert sorted(made, key=place_of) == made
    assert published_at(made[0]).year > 2020
    assert published_at("garbage").year == 1970


def test_a_receipt_says_whose_it_is() -> None:
    name, message_id = dispatcher_name(), Ids().next()
    receipt = Receipts(name).make(message_id, "a:b.c")
    (claim,) = claims_of([receipt])
    assert (claim.dispatcher, claim.id, claim.customer) == (name, message_id, "a:b.c")
    for wrong in ("", "x", receipt[1:], f" {receipt}", receipt.partition(":")[0]):
        with pytest.raises(InvalidArgument):
            claims_of([receipt, wrong])


def test_only_the_latest_are_remembered() -> None:
    recent = Recent(3)
    for text in "abcd":
        recent.add(text)
    assert [text for text in "abcd" if text in recent] == ["b", "c", "d"]
