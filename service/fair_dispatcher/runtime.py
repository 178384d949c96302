"""Runs a command's coroutine, and turns what goes wrong into one line and an exit code."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

import typer

from broker_core.errors import ConfigurationError, DispatcherError, InvalidArgument

T = TypeVar("T")

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run to the end in a new event loop, of uvloop if that is installed; SIGTERM ends it as Ctrl-C does."""
    former = signal.signal(signal.SIGTERM, _interrupt)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(coroutine)
    finally:
        signal.signal(signal.SIGTERM, former)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    signal.raise_signal(signal.SIGINT)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ModuleNotFoundError:
        return None
    return uvloop.new_event_loop


@contextmanager
def exit_codes() -> Iterator[None]:
    """End the command with one line on the standard error instead of a traceback.

    Exit codes: 2 for what the caller can mend (settings, arguments), 130 for Ctrl-C, 1 for the rest.
    """
    try:
        yield
    except (typer.Exit, typer.Abort, typer.BadParameter, BrokenPipeError):
        raise  # understood by the command line itself
    except KeyboardInterrupt:
        raise _exit("interrupted", EXIT_INTERRUPTED) from None
    except (ConfigurationError, InvalidArgument) as error:
        raise _exit(str(error), EXIT_USAGE) from error
    except DispatcherError as error:
        raise _exit(str(error), EXIT_FAILED) from error
    except Exception as error:
        if sys.flags.dev_mode:
            raise
        # The boundary of the process: nobody above could do better than say it.
        hint = "`python -X dev -m fair_dispatcher …` shows where"
        raise _exit(f"unexpected {type(error).__name__}: {error}; {hint}", EXIT_FAILED) from error


def _exit(problem: str, code: int) -> typer.Exit:
    typer.echo(f"fairdispatch: {' '.join(problem.split())}", err=True)
    return typer.Exit(code)
