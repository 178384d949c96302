"""The checker finds what is wrong: a good history has no violation, each bad one has its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from broker_core.model import Backlog
from tests.faults.history import Event, History, Item, Kind, merge, read_history
from tests.faults.invariants import Aftermath, Buried, Rules, check, longest_gaps, longest_outage
from tests.faults.lives import lives_of

RULES = Rules(max_attempts=3, lease_seconds=10.0)
KEY = "acme/p/1"


class Story:
    """A history told step by step; `clock` is the time of the next step, for broker and callers alike."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.clock = 100.0
        self._calls = 0

    def call(self, verb: str, kind: Kind | None, *items: Item, invoked: float | None = None) -> Story:
        self._calls += 1
        name = f"call {self._calls}"
        begun = self.clock if invoked is None else invoked
        self.events.append(Event(begun, "a", name, verb, Kind.INVOKE, items if verb != "receive" else ()))
        self.clock += 1
        if kind is not None:
            self.events.append(Event(self.clock, "a", name, verb, kind, items))
        return self

    def publish(self, kind: Kind | None = Kind.OK, key: str = KEY, id: str = "id-1") -> Story:  # noqa: A002
        return self.call("publish", kind, Item(key, id if kind is Kind.OK else ""))

    def receive(self, attempt: int = 1, receipt: str = "r1", key: str = KEY, **parts: object) -> Story:
        item = Item(key, "id-1", attempt, receipt, self.clock + RULES.lease_seconds, **parts)  # type: ignore[arg-type]
        return self.call("receive", Kind.OK, item)

    def settle(self, verb: str, kind: Kind | None = Kind.OK, receipt: str = "r1", key: str = KEY) -> Story:
        return self.call(verb, kind, Item(key, "id-1", 1, receipt))

    def extend(self, receipt: str = "r1") -> Story:
        return self.call("extend", Kind.OK, Item(KEY, "id-1", 1, receipt, self.clock + RULES.lease_seconds))

    def after(self, seconds: float) -> Story:
        self.clock += seconds
        return self


def told() -> Story:
    return Story().publish()


DEAD = Aftermath([Buried(KEY, "id-1", 3, "no luck")])
GOOD: dict[str, tuple[Story, Aftermath]] = {
    "published, received, acked": (told().receive().settle("ack"), Aftermath()),
    "acked, though nobody knows": (told().receive().settle("ack", Kind.UNKNOWN), Aftermath()),
    "killed while it acked": (told().receive().settle("ack", None), Aftermath()),
    "again after the lease": (
        told().receive().after(20).receive(2, "r2").settle("ack", receipt="r2"),
        Aftermath(),
    ),
    "again after nack": (
        told().receive().settle("nack").receive(2, "r2").settle("ack", receipt="r2"),
        Aftermath(),
    ),
    "a late ack of a message that is gone": (
        told().receive().after(20).receive(2, "r2").settle("ack", receipt="r2").settle("ack"),
        Aftermath(),
    ),
    "a late ack that is refused": (
        told().receive().after(20).receive(2, "r2").settle("ack", Kind.FAIL).settle("ack", receipt="r2"),
        Aftermath(),
    ),
    "unknown, and never stored": (Story().publish(Kind.UNKNOWN), Aftermath()),
    "unknown, and stored": (Story().publish(None).receive().settle("ack"), Aftermath()),
    "refused, then confirmed": (Story().publish(Kind.FAIL).publish().receive().settle("ack"), Aftermath()),
    "dead after the last attempt": (told().receive(3), DEAD),
    "buried by hand": (
        told().receive().settle("dead_letter"),
        Aftermath([Buried(KEY, "id-1", 1, "bad number")]),
    ),
    "renewed, then again": (
        told().receive().after(5).extend().after(20).receive(2, "r2").settle("ack", receipt="r2"),
        Aftermath(),
    ),
}
BAD: dict[str, tuple[str, Story, Aftermath]] = {
    "confirmed, never received": ("I1", told(), Aftermath()),
    "received, never settled": ("I1", told().receive(), Aftermath()),
    "received, ack refused": ("I1", told().receive().settle("ack", Kind.FAIL), Aftermath()),
    "acked on nack": ("I1", told().receive().settle("nack"), Aftermath()),
    "never published": ("I2", Story().receive().settle("ack"), Aftermath()),
    "refused, and yet stored": ("I2", Story().publish(Kind.FAIL).receive().settle("ack"), Aftermath()),
    "changed": ("I2", told().receive(intact=False).settle("ack"), Aftermath()),
    "changed in its grave": ("I2", told().receive(3), Aftermath([Buried(KEY, "id-1", 3, "x", intact=False)])),
    "stored twice": ("I2", told().publish(id="id-2").receive().settle("ack"), Aftermath()),
    "never published, dead": ("I2", Story(), DEAD),
    "again too early": (
        "I3",
        told().receive().after(5).receive(2, "r2").settle("ack", receipt="r2"),
        Aftermath(),
    ),
    "again after ack": ("I3", told().receive().settle("ack").after(20).receive(2, "r2"), Aftermath()),
    "an old owner's nack": (
        "I3",
        told()
        .receive()
        .after(20)
        .receive(2, "r2")
        .settle("nack")
        .receive(3, "r3")
        .settle("ack", receipt="r3"),
        Aftermath(),
    ),
    "an old owner's ack": (
        "I3",
        told().receive().after(20).receive(2, "r2").settle("ack"),
        Aftermath(),
    ),
    "acked and dead": ("I4", told().receive(3).settle("ack"), DEAD),
    "dead twice": ("I4", told().receive(3), Aftermath([*DEAD.dead, *DEAD.dead])),
    "buried, but not found": ("I4", told().receive().settle("dead_letter"), Aftermath()),
    "something stays": ("I5", told().receive().settle("ack"), Aftermath(residue=["key"])),
    "counters are wrong": ("I5", told().receive().settle("ack"), Aftermath(backlog=Backlog(ready=1))),
    "too many attempts": ("I6", told().receive(4).settle("ack"), Aftermath()),
    "attempts forgotten": (
        "I6",
        told().receive(2).after(20).receive(1, "r2").settle("ack", receipt="r2"),
        Aftermath(),
    ),
    "dead without a reason": ("I6", told().receive(3), Aftermath([Buried(KEY, "id-1", 3, "")])),
    "dead too early": ("I6", told().receive(), Aftermath([Buried(KEY, "id-1", 1, "no luck")])),
    "taken from an owner who renews": (
        "I10",
        told().receive().after(5).extend().after(5).receive(2, "r2").settle("ack", receipt="r2"),
        Aftermath(),
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_good_history_has_no_violation(name: str) -> None:
    story, aftermath = GOOD[name]
    assert check(story.events, aftermath, RULES).violations == []


@pytest.mark.parametrize("name", BAD)
def test_a_bad_history_has_its_violation(name: str) -> None:
    invariant, story, aftermath = BAD[name]
    findings = check(story.events, aftermath, RULES)
    assert findings.of(invariant), findings.violations


def test_duplicates_are_counted_unless_asked_for() -> None:
    story = (
        told()
        .receive()
        .settle("nack")
        .receive(2, "r2")
        .after(20)
        .receive(3, "r3")
        .settle("ack", receipt="r3")
    )
    findings = check(story.events, Aftermath(), RULES)
    assert (findings.hand_overs, findings.duplicates, findings.violations) == (3, 1, [])


def test_gaps_between_turns() -> None:
    story = Story()
    for place, customer in enumerate("abcabbbcaccb"):
        key = f"{customer}/p/{place}"
        story.publish(key=key).receive(key=key, receipt=str(place))
    # Until a's last turn, which is the ninth.
    assert longest_gaps(story.events, "abc") == {"a": 4, "b": 2, "c": 4}


def test_outages() -> None:
    story = told().receive().after(7).call("receive", Kind.OK).after(4).receive()
    assert longest_outage(story.events, "receive") == pytest.approx(13)


@pytest.mark.parametrize("torn", [False, True])
def test_a_file_survives_its_process(tmp_path: Path, torn: bool) -> None:
    path = tmp_path / "history"
    history = History(path)
    call = history.invoke("a", "ack", [Item(KEY, "id-1", 1, "r1")])
    history.end(call, "a", "ack", Kind.OK, [Item(KEY, "id-1", 1, "r1")])
    if torn:
        path.write_bytes(path.read_bytes()[:-5])
    events = read_history(path)
    assert len(events) == 2 - torn
    (life,) = lives_of(events).values()
    assert [step.kind for step in life.settled] == [Kind.UNKNOWN if torn else Kind.OK]


def test_histories_are_merged_by_time() -> None:
    first, second = told().events, Story().after(0.5).publish(key="acme/q/1").events
    assert [event.at for event in merge(first, second)] == [100.0, 100.5, 101.0, 101.5]
