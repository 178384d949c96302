"""How a worker process is told to end: gracefully, and then perhaps at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

_CANCEL_AGAIN_SECONDS = 0.2


class Ending:
    """Passes the word to end on to what is under way, also if it came before that began."""

    def __init__(self) -> None:
        self._asked = False
        self._stop: Callable[[], object] = lambda: None
        self._task: asyncio.Future[Any] | None = None

    def ends(self, task: asyncio.Future[Any], stop: Callable[[], object]) -> None:
        """Let this task be what is under way, and `stop` end it gracefully."""
        self._stop, self._task = stop, task
        if self._asked:
            stop()

    def gracefully(self) -> None:
        """End what is under way, however often this is said."""
        self._asked = True
        self._stop()

    def at_once(self) -> None:
        """Cancel what is under way, and cancel it again if it takes that for a wish to end gracefully."""
        self._asked = True
        if self._task is not None:
            self._task.cancel()
            asyncio.get_running_loop().call_later(_CANCEL_AGAIN_SECONDS, self._task.cancel)
