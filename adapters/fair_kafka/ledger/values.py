"""The smaller values inside of encoded commands."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

from broker_core.model import CustomerPolicy
from fair_kafka.ledger import commands as c
from fair_kafka.ledger import ledger_pb2 as pb

T = TypeVar("T", covariant=True)


class UndecodableRecord(Exception):
    """No dispatcher has written these bytes."""


class Appendable(Protocol[T]):
    """A repeated message to which one can be added."""

    def add(self) -> T:
        """Append an empty message and return it."""
        ...


def encode_held(held: Iterable[c.Held], into: Appendable[pb.Held]) -> None:
    """Append groups of receipts."""
    for session, sequence, serials in held:
        group = into.add()
        group.session, group.sequence = session, sequence
        group.serials.extend(serials)


def decode_held(groups: Iterable[pb.Held]) -> tuple[c.Held, ...]:
    """Return groups of receipts."""
    return tuple([c.Held(group.session, group.sequence, tuple(group.serials)) for group in groups])


def encode_ref(ref: c.Ref) -> pb.Ref:
    """Encode where a payload lies."""
    return pb.Ref(topic=ref.topic, partition=ref.partition, offset=ref.offset)


def decode_ref(ref: pb.Ref) -> c.Ref:
    """Return where a payload lies."""
    return c.Ref(known_topic(ref.topic), ref.partition, ref.offset)


def known_topic(topic: int) -> int:
    """Return a topic's number; raise UndecodableRecord if there is no such topic."""
    if topic >= len(c.Topic):
        raise UndecodableRecord(f"no topic {topic}")
    return topic


def encode_policy(policy: CustomerPolicy) -> pb.Policy:
    """Encode the fields of a policy that are kept."""
    return pb.Policy(weight=policy.weight, paused=policy.paused)


def decode_policy(policy: pb.Policy) -> CustomerPolicy:
    """Return a policy."""
    if policy.HasField("weight") and not policy.weight:
        raise UndecodableRecord("a weight of 0")
    return CustomerPolicy(
        weight=policy.weight if policy.HasField("weight") else None,
        paused=policy.paused if policy.HasField("paused") else None,
    )


def encode_open(command: c.Open) -> pb.Open:
    """Encode the settings of a session."""
    return pb.Open(
        quantum=command.quantum,
        max_attempts=command.max_attempts,
        dedup_window_ms=command.dedup_window_ms,
        dead_letter_retention_ms=command.dead_letter_retention_ms,
        max_partitions=command.max_partitions,
        partitions_step=command.partitions_step,
        hashed_partitions=command.hashed_partitions,
    )


def decode_open(session: int, sequence: int, settings: pb.Open) -> c.Open:
    """Return the settings of a session as the command that gave them."""
    if not (settings.quantum and settings.max_partitions and settings.partitions_step):
        raise UndecodableRecord("a setting of 0")
    return c.Open(
        session,
        sequence,
        settings.quantum,
        settings.max_attempts,
        settings.dedup_window_ms,
        settings.dead_letter_retention_ms,
        settings.max_partitions,
        settings.partitions_step,
        settings.hashed_partitions,
    )


def split_keys(keys: bytes) -> list[bytes]:
    """Cut dedup keys apart that were written one behind the other."""
    return [keys[at : at + c.KEY_BYTES] for at in range(0, len(keys), c.KEY_BYTES)]
