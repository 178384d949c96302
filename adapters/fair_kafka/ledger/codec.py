"""Commands as bytes. A record of the ledger is `join` of what `encode` made of its commands."""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.message import DecodeError

from broker_core.adapter import Verb
from fair_kafka.ledger import commands as c
from fair_kafka.ledger import ledger_pb2 as pb
from fair_kafka.ledger.fresh import MOST_PARTITIONS
from fair_kafka.ledger.runs import decode_entries, encode_entries
from fair_kafka.ledger.values import (
    UndecodableRecord,
    decode_held,
    decode_open,
    decode_policy,
    decode_ref,
    encode_held,
    encode_open,
    encode_policy,
    encode_ref,
    known_topic,
)

FORMAT = 1

_HEADER = pb.Record(format=FORMAT).SerializeToString()
_VERBS = {
    Verb.ACK: pb.VERB_ACK,
    Verb.NACK: pb.VERB_NACK,
    Verb.RELEASE: pb.VERB_RELEASE,
    Verb.DEAD_LETTER: pb.VERB_DEAD_LETTER,
}
_VERBS_BACK = {number: verb for verb, number in _VERBS.items()}


class NewerRecord(Exception):
    """A dispatcher of a later version wrote this record; what it means isn't known here."""


def encode(command: c.Command) -> bytes:
    """Encode one command, to be joined with others into a record."""
    encoded = pb.Command(session=command.session, sequence=command.sequence)
    _fill(encoded, command)
    return pb.Record(commands=[encoded]).SerializeToString()


def join(encoded: Iterable[bytes]) -> bytes:
    """Make one record of encoded commands, which are applied in this order."""
    return b"".join((_HEADER, *encoded))


def decode(data: bytes) -> list[c.Command]:
    """Return the commands of a record.

    Raises UndecodableRecord for bytes that `join` can't have made, NewerRecord for what a later version did.
    """
    try:
        record = pb.Record.FromString(data)
    except DecodeError as error:
        raise UndecodableRecord(str(error)) from error
    if record.format > FORMAT:
        raise NewerRecord(f"format {record.format}; this version knows {FORMAT}: update this dispatcher")
    if record.format != FORMAT:
        raise UndecodableRecord("no record of a ledger")
    return [_decode(command) for command in record.commands]


def _fill(into: pb.Command, command: c.Command) -> None:  # noqa: C901 - one case a command
    match command:
        case c.Publish():
            encode_entries(command.entries, into.publish)
        case c.Receive():
            into.receive.max_messages = command.max_messages
            into.receive.lease_ms = command.lease_ms
            into.receive.wait_ms = command.wait_ms
        case c.Settle():
            into.settle.verb = _VERBS[command.verb]
            encode_held(command.held, into.settle.held)
            into.settle.delay_ms = command.delay_ms
            into.settle.reason = command.reason
        case c.Extend():
            encode_held(command.held, into.extend.held)
            into.extend.lease_ms = command.lease_ms
        case c.Revoke():
            into.revoke.receive_sequence = command.receive_sequence
        case c.Tick():
            into.tick.SetInParent()
        case c.Open():
            into.open.CopyFrom(encode_open(command))
        case c.Close():
            into.close.SetInParent()
        case c.AssignPartitions():
            into.assign_partitions.customers.extend(command.customers)
            into.assign_partitions.share = command.share
        case c.PartitionsAdded():
            into.partitions_added.count = command.count
        case c.SetPolicy():
            into.set_policy.customer = command.customer
            if command.policy is not None:
                into.set_policy.policy.CopyFrom(encode_policy(command.policy))
        case c.Purge():
            into.purge.customer = command.customer
        case c.EndDeadLetters():
            into.end_dead_letters.customer = command.customer
            into.end_dead_letters.all = command.serials is None
            into.end_dead_letters.serials.extend(command.serials or ())
            into.end_dead_letters.redrive = command.redrive
        case c.Vanished():
            into.vanished.serials.extend(one.serial for one in command.gone)
            into.vanished.sources.extend(encode_ref(one.source) for one in command.gone)
        case c.Undecodable():
            encode_held(command.held, into.undecodable.held)
        case c.Relocate():
            into.relocate.serials.extend(move.serial for move in command.moves)
            into.relocate.sources.extend(encode_ref(move.source) for move in command.moves)
            into.relocate.targets.extend(encode_ref(move.target) for move in command.moves)
        case c.Clean():
            into.clean.topic, into.clean.partition = command.topic, command.partition
            into.clean.up_to, into.clean.orphans = command.up_to, command.orphans
        case c.Janitor():
            into.janitor.ms = command.ms
        case _:
            raise TypeError(f"{type(command).__name__} is no command of the ledger")


def _decode(encoded: pb.Command) -> c.Command:  # noqa: C901 - one case a command
    session, sequence = encoded.session, encoded.sequence
    match encoded.WhichOneof("body"):
        case "publish":
            return c.Publish(session, sequence, decode_entries(encoded.publish))
        case "receive":
            receive = encoded.receive
            return c.Receive(session, sequence, receive.max_messages, receive.lease_ms, receive.wait_ms)
        case "settle":
            settle = encoded.settle
            if settle.verb not in _VERBS_BACK:
                raise NewerRecord(f"verb {settle.verb} is not known")
            verb, held = _VERBS_BACK[settle.verb], decode_held(settle.held)
            return c.Settle(session, sequence, verb, held, settle.delay_ms, settle.reason)
        case "extend":
            return c.Extend(session, sequence, decode_held(encoded.extend.held), encoded.extend.lease_ms)
        case "revoke":
            return c.Revoke(session, sequence, encoded.revoke.receive_sequence)
        case "tick":
            return c.Tick(session, sequence)
        case "open":
            return decode_open(session, sequence, encoded.open)
        case "close":
            return c.Close(session, sequence)
        case "assign_partitions":
            assign = encoded.assign_partitions
            return c.AssignPartitions(session, sequence, tuple(assign.customers), assign.share)
        case "partitions_added":
            count = encoded.partitions_added.count
            if count > MOST_PARTITIONS:
                raise UndecodableRecord(f"{count} partitions")
            return c.PartitionsAdded(session, sequence, count)
        case "set_policy":
            change = encoded.set_policy
            policy = decode_policy(change.policy) if change.HasField("policy") else None
            return c.SetPolicy(session, sequence, change.customer, policy)
        case "purge":
            return c.Purge(session, sequence, encoded.purge.customer)
        case "end_dead_letters":
            end = encoded.end_dead_letters
            serials = None if end.all else tuple(end.serials)
            return c.EndDeadLetters(session, sequence, end.customer, serials, end.redrive)
        case "vanished":
            gone = zip(encoded.vanished.serials, map(decode_ref, encoded.vanished.sources), strict=True)
            return c.Vanished(session, sequence, tuple(c.Gone(*one) for one in gone))
        case "undecodable":
            return c.Undecodable(session, sequence, decode_held(encoded.undecodable.held))
        case "relocate":
            relocate = encoded.relocate
            sources, targets = map(decode_ref, relocate.sources), map(decode_ref, relocate.targets)
            moves = zip(relocate.serials, sources, targets, strict=True)
            return c.Relocate(session, sequence, tuple(c.Move(*move) for move in moves))
        case "clean":
            clean = encoded.clean
            topic = known_topic(clean.topic)
            return c.Clean(session, sequence, topic, clean.partition, clean.up_to, clean.orphans)
        case "janitor":
            return c.Janitor(session, sequence, encoded.janitor.ms)
        case _:
            raise NewerRecord("a command that is not known here: update this dispatcher")
