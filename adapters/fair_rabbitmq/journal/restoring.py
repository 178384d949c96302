"""Tells a journal anew that somebody has deleted, by those who knew what it held."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from fair_rabbitmq.journal import events as e
from fair_rabbitmq.journal.messages import Known, State
from fair_rabbitmq.journal.replica import Replica

_IN_AN_EVENT = 500
Message = tuple[str, Known]


def retold(old: Replica, me: str) -> list[e.Event]:
    """Return what a dispatcher has to tell so that a journal which begins anew amounts to the old replica.

    All dispatchers tell it: what is everybody's changes nothing the second time, attempts and leases are
    told by one. Who was redriving what, and leases of those that are gone, are forgotten.
    """
    told: list[e.Event] = []
    for known in old.customers():
        told.append(e.CustomerSeen(known.name, known.oldest))
        if known.retired >= known.oldest:
            told.append(e.CustomerRetired(known.name, known.retired))
        if known.newest > known.oldest:
            told.append(e.CustomerSeen(known.name, known.newest))
    told += [e.PolicySet(customer, policy) for customer, policy in old.policies().items()]
    found = old.messages.items()
    mine = [(name, one) for name, one in found if one.state is State.LEASED and one.owner == me]
    delayed = [(name, one) for name, one in found if one.state is State.DELAYED]
    told += _attempts(mine)
    if me == min(old.writers.live(), default=me):
        ready = [(name, one) for name, one in found if one.state is State.READY]
        told += _attempts([*ready, *delayed])
        told += _each(ready, lambda part: e.Returned(tuple(name for name, _ in part)))
    told += _each(
        delayed, lambda part: e.Delayed(tuple(e.Delay(name, one.customer, one.at) for name, one in part))
    )
    told += [e.Died((e.Death(one.id, one.customer, one.place, one.died_at),)) for one in old.dead.after(0)]
    return told


def _attempts(messages: list[Message]) -> Iterable[e.Event]:
    """Tell as many hand-overs of each as there were."""
    told: list[e.Event] = []
    number = 0
    while left := [(name, one) for name, one in messages if one.attempts > number]:
        told += _each(
            left, lambda part: e.HandedOver(tuple(e.Lease(name, one.customer, one.at) for name, one in part))
        )
        number += 1
    return told


def _each(messages: list[Message], make: Callable[[list[Message]], e.Event]) -> list[e.Event]:
    return [make(messages[start : start + _IN_AN_EVENT]) for start in range(0, len(messages), _IN_AN_EVENT)]
