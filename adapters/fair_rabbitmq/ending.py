"""Ends tasks in bounded time, and lets no cancelling get lost in the client."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Iterable, Iterator
from typing import Any, TypeVar

from fair_rabbitmq.errors import CLIENT_ERRORS

T = TypeVar("T")

END_SECONDS = 0.3
_AGAIN_SECONDS = 0.1


def begin(work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Start what may be left before it ends; its error is nobody's then."""
    task = asyncio.create_task(work)
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    return task


async def end_tasks(tasks: Iterable[asyncio.Task[Any]], seconds: float = END_SECONDS) -> None:
    """Cancel tasks until they have ended, so many seconds at most; raises nothing of theirs."""
    clock = asyncio.get_running_loop().time
    until = clock() + seconds
    pending = {task for task in tasks if not task.done()}
    while pending and (left := until - clock()) > 0:
        # Again, since a cancelling can get lost on the way through `asyncio.wait_for` of older Pythons.
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=min(left, _AGAIN_SECONDS))


@contextlib.contextmanager
def cancelling_passes() -> Iterator[None]:
    """Raise CancelledError if, and only if, the task is cancelled during the block.

    When the connection breaks at that moment, the client raises the break's error in place of it. And it
    cancels what waits on a channel that ends; that is ConnectionError here.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task is not None else 0
    try:
        yield
    except CLIENT_ERRORS as error:
        if task is not None and task.cancelling() > before:
            raise asyncio.CancelledError from error
        raise
    except asyncio.CancelledError as error:
        if task is not None and task.cancelling() == before:
            raise ConnectionError("the channel was closed") from error
        raise
    except Exception as error:
        # What the client raises when it ended the call for no reason that it knows; others are our faults.
        if type(error) is not Exception:
            raise
        if task is not None and task.cancelling() > before:
            raise asyncio.CancelledError from error
        raise ConnectionError("the channel was closed") from error
