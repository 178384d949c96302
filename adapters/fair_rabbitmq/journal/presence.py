"""Who was heard of lately, by this machine's monotonic clock."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable


class Presence:
    """Tells who is silent; patient after each time in which this dispatcher itself heard nothing."""

    def __init__(
        self, dispatcher: str, silence_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._dispatcher, self._silence_seconds, self._clock = dispatcher, silence_seconds, clock
        self._heard: dict[str, float] = {}
        self._asked = clock()

    def begin(self, live: Iterable[str]) -> None:
        """Take everybody for heard of now."""
        self._heard = dict.fromkeys(live, self._clock())

    def hear(self, dispatcher: str) -> None:
        """Note that a dispatcher wrote something."""
        self._heard[dispatcher] = self._clock()

    def silent(self, live: Iterable[str]) -> list[str]:
        """Tell which of those that should live have been silent for too long; to be asked regularly.

        The bound is a little different each time, so that not all dispatchers say the same at once.
        """
        now = self._clock()
        if now - self._asked > self._silence_seconds / 2:
            self._asked = now
            self.begin(live)  # this process stood still; what others wrote meanwhile isn't read yet
            return []
        self._asked = now
        bound = self._silence_seconds * random.uniform(1, 1.3)  # noqa: S311
        names = list(live)
        self._heard = {name: self._heard.get(name, now) for name in names}
        return [name for name in names if name != self._dispatcher and now - self._heard[name] > bound]
