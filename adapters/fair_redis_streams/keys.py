# ruff: noqa: E501
"""Every key of the adapter is named here, for Python and for the server functions.

A namespace is divided into shards; all keys of a shard begin with the same hash tag `{namespace:shard}`,
so that a shard lives on one node of a cluster and one server function may touch all of it.
A ref is `<id>:<customer>`. It names a message everywhere but in its stream.

| key after the tag | type | meaning | who deletes it |
|---|---|---|---|
| :meta | hash | counters, last id, state of the scheduler; in shard 0 the number of shards | nobody: the constant residue |
| :wake | list | one token while there may be work and nobody took notice | the waiting consumer's BLPOP |
| :ring | list | customers with something ready, the next one first | receive |
| :deficit | hash | customer → cost units left of its last visit; the members of the ring | nobody: it stays with one long field that makes it a real table; fields: receive, purge |
| :ready:<customer> | stream | published messages that were never handed over; redriven ones | receive (the last message), purge |
| :returned:<customer> | sorted set | ids handed over before and ready again, in order of publishing | receive, purge |
| :delayed:<customer> | set | refs that wait for their time | receive, purge |
| :due | sorted set | ref → time from which it is ready (ms) | receive, purge |
| :kept | hash | ref → record of a returned or delayed message | receive, purge |
| :again | hash | refs of messages that exist and whose first lease has ended | ack, purge |
| :leases | sorted set | token of a receive → earliest end of its leases (ms) | the last ack of the token |
| :lease:<token> | hash | ref → record of a leased message; removing a field is the fence | ack, nack, … |
| :renewed:<token> | hash | ref → end of a renewed lease (ms); '' → end of the others | the last ack of the token |
| :void | sorted set | tokens of receives that were given up → until when they are refused (ms) | receive, else its own expiry |
| :leased | hash | customer → number of leased messages | nobody, as :deficit; fields: whoever brings them to 0 |
| :waiting, :buried | hash | customer → number of delayed and dead messages | whoever brings it to 0 |
| :dead | sorted set | ref → time of death (ms) | redrive, purge_dead_letters, retention |
| :dead:<customer> | sorted set | id → time of death (ms) | the same |
| :graves | hash | ref → record of a dead letter with its reason | the same |
| :policies, :weights, :paused | hash, hash, set | customer → policy as JSON; what the scheduler needs of it | set_policy(customer, None) |
| :dedup:<n> | hash | (customer, Message.id) → id, for one half of the window | publish, else its own expiry |
"""

from __future__ import annotations

SHARD_KEYS = (
    "meta",
    "wake",
    "ring",
    "deficit",
    "due",
    "kept",
    "again",
    "leases",
    "void",
    "leased",
    "waiting",
    "buried",
    "dead",
    "graves",
    "policies",
    "weights",
    "paused",
)
# Attribute in the server functions → key; what follows is a customer, a token or a number.
PREFIXES = {
    "ready_of": "ready",
    "returned_of": "returned",
    "delayed_of": "delayed",
    "lease_of": "lease",
    "renewed_of": "renewed",
    "dead_of": "dead",
    "dedup_of": "dedup",
}


def tag(namespace: str, shard: int) -> str:
    """Return what every key of the shard begins with."""
    return f"{{{namespace}:{shard}}}"


def meta(namespace: str, shard: int) -> bytes:
    """Return the key by which the server functions are told the shard."""
    return f"{tag(namespace, shard)}:meta".encode()


def wake(namespace: str, shard: int) -> bytes:
    """Return the list that waiting consumers block on."""
    return f"{tag(namespace, shard)}:wake".encode()


def leases(namespace: str, shard: int) -> bytes:
    """Return the sorted set of the tokens that hold leases."""
    return f"{tag(namespace, shard)}:leases".encode()


def ring(namespace: str, shard: int) -> bytes:
    """Return the list of customers with something ready."""
    return f"{tag(namespace, shard)}:ring".encode()


def deficit(namespace: str, shard: int) -> bytes:
    """Return the hash of the customers that are scheduled."""
    return f"{tag(namespace, shard)}:deficit".encode()


def with_customers(namespace: str, shard: int, *, attribute: str) -> bytes:
    """Return the beginning of all keys of one kind, for a scan."""
    return f"{tag(namespace, shard)}:{PREFIXES[attribute]}:".encode()


def lua_source() -> str:
    """Return the Lua function that names all keys of a shard from its :meta key."""
    lines = [f"    {name} = tag .. ':{name}'," for name in SHARD_KEYS]
    lines += [f"    {name} = tag .. ':{key}:'," for name, key in PREFIXES.items()]
    body = "\n".join(lines)
    return (
        "local function keys_of(meta)\n"
        f"  local tag = string.sub(meta, 1, -{len(':meta') + 1})\n"
        f"  return {{\n{body}\n  }}\n"
        "end\n"
    )
