"""Sessions: the settings of each dispatcher, and which of its commands were applied."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from fair_kafka.ledger.commands import Open

FORGOTTEN_AFTER_MS = 3_600_000
MOST_OUT_OF_ORDER = 1024


class Session:
    """One dispatcher. `floor`: every sequence up to it counts as applied; `beyond`: those after it that are.

    A sequence that is still missing when 1,024 later ones were applied counts as applied.
    """

    __slots__ = ("beyond", "floor", "last_seen_ms", "settings")

    def __init__(self, settings: Open) -> None:
        self.settings = settings
        self.floor = 0
        self.beyond: set[int] = set()
        self.last_seen_ms = 0

    def knows(self, sequence: int) -> bool:
        """Tell whether this command was applied."""
        return sequence <= self.floor or sequence in self.beyond

    def note(self, sequence: int) -> bool:
        """Note that a command is applied; False if it was before."""
        if sequence == self.floor + 1:
            self.floor = sequence
        elif self.knows(sequence):
            return False
        else:
            self.beyond.add(sequence)
            if len(self.beyond) > MOST_OUT_OF_ORDER:
                self.floor = min(self.beyond) - 1
        if self.beyond:
            self._rise()
        return True

    def _rise(self) -> None:
        while self.floor + 1 in self.beyond:
            self.floor += 1
            self.beyond.remove(self.floor)


class Sessions:
    """All sessions, the one that was silent for the longest time first."""

    def __init__(self) -> None:
        self._sessions: OrderedDict[int, Session] = OrderedDict()
        self._last_retention_ms = 0
        self._retention_ms: int | None = None

    def __iter__(self) -> Iterator[tuple[int, Session]]:
        return iter(self._sessions.items())

    def __len__(self) -> int:
        return len(self._sessions)

    def get(self, session: int) -> Session | None:
        """Return the session if it is known."""
        return self._sessions.get(session)

    def open(self, settings: Open) -> Session:
        """Return the session with these settings, which is new unless it is known."""
        session = self._sessions.get(settings.session)
        if session is None:
            session = self._sessions[settings.session] = Session(settings)
        session.settings = settings
        self._last_retention_ms = settings.dead_letter_retention_ms
        self._retention_ms = None
        return session

    def seen(self, number: int, session: Session, now_ms: int) -> None:
        """Note that the session says something."""
        if session.last_seen_ms != now_ms:
            session.last_seen_ms = now_ms
            self._sessions.move_to_end(number)

    def close(self, number: int) -> None:
        """Forget the session."""
        self._sessions.pop(number, None)
        self._retention_ms = None

    def forget_silent(self, now_ms: int) -> list[int]:
        """Forget those that said nothing for an hour, and tell which."""
        forgotten = []
        while self._sessions:
            number, session = next(iter(self._sessions.items()))
            if session.last_seen_ms > now_ms - FORGOTTEN_AFTER_MS:
                break
            self.close(number)
            forgotten.append(number)
        return forgotten

    @property
    def dead_letter_retention_ms(self) -> int:
        """The shortest that a session wants; the last one's if there is none."""
        if self._retention_ms is None:
            wanted = [session.settings.dead_letter_retention_ms for session in self._sessions.values()]
            self._retention_ms = min(wanted, default=self._last_retention_ms)
        return self._retention_ms

    def export_state(self) -> tuple[list[tuple[int, Session]], int]:
        """Return the sessions in their order, and the retention that counts without any."""
        return list(self._sessions.items()), self._last_retention_ms

    def restore_state(self, sessions: list[Session], last_retention_ms: int) -> None:
        """Know these sessions, in this order."""
        self._sessions = OrderedDict((session.settings.session, session) for session in sessions)
        self._last_retention_ms = last_retention_ms
        self._retention_ms = None
