"""Empties the broker after a run and tells what was found."""

from __future__ import annotations

from collections import Counter

from broker_core.conformance.polling import Deadline
from broker_core.dispatcher import FairDispatcher
from broker_core.model import Backlog, DeadLetter
from tests.faults.invariants import Aftermath, Buried
from tests.faults.messages import is_intact
from tests.faults.scene import Scene

UNDECODABLE = "undecodable entry"


async def until_drained(dispatcher: FairDispatcher, deadline: Deadline) -> None:
    """Wait until consumers have left nothing but dead letters."""
    last = Backlog()

    async def is_drained() -> bool:
        nonlocal last
        last = await dispatcher.backlog()
        return last.ready == last.leased == last.delayed == 0

    try:
        await deadline.until(is_drained, "an empty broker")
    except AssertionError as error:
        raise AssertionError(f"{error}; left is {last}") from None


async def look_and_clean(scene: Scene, dispatcher: FairDispatcher) -> Aftermath:
    """List the dead letters and remove them; name what is left. Foreign entries have to be among the dead."""
    letters: list[DeadLetter] = []
    cursor: str | None = None
    while True:
        page = await dispatcher.dead_letters(limit=1000, cursor=cursor)
        letters += page
        cursor = page.cursor
        if cursor is None:
            break
    foreign = [letter for letter in letters if letter.message.id is None]
    assert Counter(letter.reason for letter in foreign) == Counter({UNDECODABLE: scene.foreign})
    for customer in {letter.customer for letter in letters}:
        await dispatcher.purge_dead_letters(customer)
    return Aftermath(
        [buried(letter) for letter in letters if letter.message.id is not None],
        await dispatcher.backlog(),
        await scene.residue(),
    )


def buried(letter: DeadLetter) -> Buried:
    """Describe a dead letter."""
    return Buried(
        letter.message.id or "", letter.id, letter.attempts, letter.reason, is_intact(letter.message)
    )
