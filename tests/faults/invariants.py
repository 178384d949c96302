"""What has to hold of every run, whatever went wrong in it, checked against its history.

I1  nothing confirmed is lost
I2  nothing comes that wasn't published, nothing comes changed
I3  a message comes again only after its lease ended or was given up, and never after it was acked
I4  every confirmed message ends in exactly one of done and dead
I5  nothing stays in the broker
I6  no more than max_attempts attempts; what died tells why
I7  turns of customers with something waiting stay close together
I9  service comes back soon
I10 a lease that is renewed is kept

I8 needs a limit of messages in flight, which these adapters don't offer. I11 (tasks, connections, memory) is
checked where they are. A lease's end is the broker's, and a fence holds, by I3 too: its checks go by the
broker's clock where they compare leases, and by this machine's where they compare calls.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from broker_core.model import Backlog
from tests.faults.history import Event, Kind
from tests.faults.lives import Life, Step, lives_of
from tests.faults.messages import customer_of

# The broker's clock has milliseconds.
_TICK_SECONDS = 0.002


@dataclass(frozen=True, slots=True)
class Buried:
    """A dead letter as it was found in the end."""

    key: str
    id: str
    attempts: int
    reason: str
    intact: bool = True


@dataclass(frozen=True, slots=True)
class Aftermath:
    """What is in the broker after everything was drained, dead letters listed and then removed."""

    dead: Sequence[Buried] = ()
    backlog: Backlog = field(default_factory=Backlog)
    residue: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings that the run's dispatchers had."""

    max_attempts: int
    lease_seconds: float


@dataclass(frozen=True, slots=True)
class Findings:
    """Violations as `I<number> text`, and the numbers of the run.

    duplicates: hand-overs beyond a message's first that nobody asked for by nack or release.
    """

    violations: list[str]
    confirmed: int
    hand_overs: int
    duplicates: int
    dead: int

    def of(self, invariant: str) -> list[str]:
        """Select the violations of one invariant."""
        return [violation for violation in self.violations if violation.startswith(f"{invariant} ")]

    def __str__(self) -> str:
        return (
            f"confirmed {self.confirmed}, hand-overs {self.hand_overs}, dead {self.dead}, "
            f"lost {len(self.of('I1'))}, unexpected {len(self.of('I2'))}, residue {len(self.of('I5'))}, "
            f"duplicates {self.duplicates}"
        )


def check(events: Sequence[Event], aftermath: Aftermath, rules: Rules) -> Findings:
    """Check a whole run."""
    lives = lives_of(events)
    dead: dict[str, list[Buried]] = {}
    for letter in aftermath.dead:
        dead.setdefault(letter.key, []).append(letter)
    violations = [f"I5 left over: {name}" for name in aftermath.residue]
    if aftermath.backlog != Backlog():
        violations.append(f"I5 the backlog is {aftermath.backlog}")
    for key in lives.keys() | dead.keys():
        life, letters = lives.get(key, Life(key)), dead.get(key, [])
        for found in (_lost, _unexpected, _ended_twice, _attempts):
            violations += (f"{text}: {key}" for text in found(life, letters, rules))
        violations += (f"{text}: {key}" for text in _repeated(life, rules))
    return Findings(
        sorted(violations),
        confirmed=sum(life.is_confirmed for life in lives.values()),
        hand_overs=sum(len(life.received) for life in lives.values()),
        duplicates=sum(_duplicates(life) for life in lives.values()),
        dead=len(aftermath.dead),
    )


def _lost(life: Life, letters: Sequence[Buried], _: Rules) -> Iterator[str]:
    if life.is_confirmed and not letters and not any(life.settlements("ack")):
        state = "was received but never finished" if life.received else "never came"
        yield f"I1 a confirmed message {state}"


def _unexpected(life: Life, letters: Sequence[Buried], _: Rules) -> Iterator[str]:
    if not life.received and not letters:
        return
    if not life.published:
        yield "I2 a message that nobody has published"
    elif not life.may_be_stored:
        yield "I2 a message whose publish was said to have failed"
    if not all(step.item.intact for step in life.received) or not all(letter.intact for letter in letters):
        yield "I2 a message that was changed"
    ids: set[str] = {step.item.id for step in life.received} | {letter.id for letter in letters}
    ids |= {step.item.id for step in life.published if step.kind is Kind.OK}
    if len(ids) > 1:
        yield f"I2 one key with several ids {sorted(ids)}"


def _ended_twice(life: Life, letters: Sequence[Buried], _: Rules) -> Iterator[str]:
    if len(letters) > 1:
        yield "I4 a message that is dead twice"
    if letters and any(life.settlements("ack", kinds=[Kind.OK])):
        yield "I4 a message that is acked and dead"
    if not letters and any(life.settlements("dead_letter", kinds=[Kind.OK])):
        yield "I4 a message that was buried and isn't dead"


def _attempts(life: Life, letters: Sequence[Buried], rules: Rules) -> Iterator[str]:
    numbers = [step.item.attempt for step in life.in_broker_order()]
    if any(not 1 <= number <= rules.max_attempts for number in numbers):
        yield f"I6 attempts {numbers} with at most {rules.max_attempts}"
    if any(later < earlier for earlier, later in pairwise(numbers)):
        yield f"I6 attempts {numbers} that decrease"
    for letter in letters:
        if letter.attempts > rules.max_attempts or not letter.reason:
            yield f"I6 a dead letter with {letter.attempts} attempts and the reason {letter.reason!r}"
        elif life.received and letter.attempts < rules.max_attempts and not _is_buried_by_hand(life):
            yield f"I6 a dead letter after {letter.attempts} of {rules.max_attempts} attempts"


def _is_buried_by_hand(life: Life) -> bool:
    return any(life.settlements("dead_letter"))


def _repeated(life: Life, rules: Rules) -> Iterator[str]:
    hand_overs = life.in_broker_order()
    for earlier, later in pairwise(hand_overs):
        ended = life.lease_end(earlier) <= later.item.lease_until - rules.lease_seconds + _TICK_SECONDS
        if not ended and not _is_given_up(life, earlier, later):
            renewed = life.lease_end(earlier) > earlier.item.lease_until
            yield f"{'I10' if renewed else 'I3'} handed over while {earlier.actor} had the lease"
    first_ack = min((ack.at for ack in life.settlements("ack", kinds=[Kind.OK])), default=None)
    if first_ack is not None and any(step.invoked_at > first_ack for step in hand_overs):
        yield "I3 handed over after it was acked"
    for place, hand_over in enumerate(hand_overs):
        yield from _stale_successes(life, hand_over, hand_overs[place + 1 :])


def _is_given_up(life: Life, earlier: Step, later: Step) -> bool:
    return any(
        step.item.receipt == earlier.item.receipt and step.invoked_at <= later.at
        for step in life.settlements("nack", "release")
    )


def _stale_successes(life: Life, hand_over: Step, later: Sequence[Step]) -> Iterator[str]:
    """Find verbs that took effect with a receipt when somebody else had got the message already."""
    if not later:
        return
    receipts = {step.item.receipt for step in later}
    for step in [*life.settled, *life.extended]:
        stale = step.item.receipt == hand_over.item.receipt and step.invoked_at >= later[0].at
        if not stale or step.kind is not Kind.OK:
            continue
        # An ack succeeds as well when the message is gone since another has acked it.
        gone = any(
            ack.item.receipt in receipts and ack.invoked_at <= step.at for ack in life.settlements("ack")
        )
        if step.verb != "ack" or not gone:
            yield f"I3 {step.verb} with an old receipt took effect"


def _duplicates(life: Life) -> int:
    hand_overs = life.in_broker_order()
    pairs = pairwise(hand_overs)
    return sum(not _is_given_up(life, earlier, later) for earlier, later in pairs)


def longest_gaps(
    events: Sequence[Event], customers: Collection[str], unseen: Iterable[tuple[float, str]] = ()
) -> Counter[str]:
    """Tell for each customer the most hand-overs of the others (I7) between two of its own.

    All have to be waiting from the first hand-over on; looked at until the first of them has its last one.
    unseen: end of the lease and customer of each hand-over whose answer was lost.
    """
    steps = [step for life in lives_of(events).values() for step in life.received]
    seen_by_consumers = [(step.item.lease_until, customer_of(step.item.key)) for step in steps]
    order = [customer for _, customer in sorted([*seen_by_consumers, *unseen], key=lambda it: it[0])]
    last = {customer: place for place, customer in enumerate(order) if customer in customers}
    seen = dict.fromkeys(customers, -1)
    gaps: Counter[str] = Counter()
    for place, customer in enumerate(order[: min(last.values(), default=-1) + 1]):
        if customer in seen:
            gaps[customer] = max(gaps[customer], place - seen[customer] - 1)
            seen[customer] = place
    return gaps


def longest_outage(events: Sequence[Event], verb: str) -> float:
    """Tell the longest time, in seconds, in which no call of that verb brought anything (I9)."""
    moments = [it.at for it in events if it.verb == verb and it.kind is Kind.OK and it.items]
    return max((later - earlier for earlier, later in pairwise(moments)), default=0.0)
