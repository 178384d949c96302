"""Runs a command's coroutine, and turns what goes wrong into one line and an exit code."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

import typer

from broker_core.errors import ConfigurationError, DispatcherError, InvalidArgument, Unsupported

T = TypeVar("T")

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_TRY_LATER = 3
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141

# What the help and the documentation say of them.
EXIT_CODES = {
    0: "done",
    EXIT_FAILED: "failed: not all of it was done, and repeating it would not help",
    EXIT_USAGE: "refused: an argument, an option or a setting is wrong; nothing was changed",
    EXIT_TRY_LATER: "the broker is away or full: the same command may succeed later",
    EXIT_INTERRUPTED: "interrupted by Ctrl-C or SIGTERM",
    EXIT_BROKEN_PIPE: "who read the output went away",
}

# But for the pattern by which messages explain a URL.
_USER_AND_PASSWORD = re.compile(r"://(?!\[user:password@\]).*@", re.DOTALL)
_PASSWORD_PARAMETER = re.compile(r"(password=)[^&\s]*", re.IGNORECASE)


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run to the end in a new event loop, of uvloop if that is installed; SIGTERM ends it as Ctrl-C does."""
    former = signal.signal(signal.SIGTERM, _interrupt)
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            return runner.run(coroutine)
    finally:
        signal.signal(signal.SIGTERM, former)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    signal.raise_signal(signal.SIGINT)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes uvloop's event loop if that is installed, None for the usual one."""
    try:
        import uvloop
    except ModuleNotFoundError:
        return None
    return uvloop.new_event_loop


@contextmanager
def exit_codes() -> Iterator[None]:
    """End the command with one line on the standard error instead of a traceback, and one of EXIT_CODES."""
    try:
        yield
    except (typer.Exit, typer.Abort, typer.TyperException):
        raise  # understood by the command line itself
    except BrokenPipeError:
        discard_output()
        raise typer.Exit(EXIT_BROKEN_PIPE) from None
    except KeyboardInterrupt:
        say("interrupted")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    except DispatcherError as error:
        say(str(error))
        raise typer.Exit(exit_code_of(error)) from error
    except OSError as error:
        discard_output()
        say(f"input or output failed: {error.strerror or error}")
        raise typer.Exit(EXIT_FAILED) from error
    except Exception as error:
        if sys.flags.dev_mode:
            raise
        # The boundary of the process: nobody above could do better than say it.
        hint = "`python -X dev -m fair_dispatcher …` shows where"
        say(f"unexpected {type(error).__name__}: {error}; {hint}")
        raise typer.Exit(EXIT_FAILED) from error


@contextmanager
def needs_extra(name: str) -> Iterator[None]:
    """Turn the absence of a package into ConfigurationError that says which extra brings it."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"the package {error.name} is missing: pip install 'fair-dispatcher[{name}]'"
        ) from error


def exit_code_of(error: DispatcherError) -> int:
    """Tell which of EXIT_CODES an error means."""
    if isinstance(error, (ConfigurationError, InvalidArgument, Unsupported)):
        return EXIT_USAGE
    return EXIT_TRY_LATER if error.retryable else EXIT_FAILED


def say(problem: str) -> None:
    """Write one line to the standard error, without what could be a password in a URL."""
    typer.echo(f"fairdispatch: {' '.join(without_secrets(problem).split())}", err=True)


def without_secrets(text: str) -> str:
    """Blank out user names and passwords of URLs."""
    return _PASSWORD_PARAMETER.sub(r"\1***", _USER_AND_PASSWORD.sub("://***@", text))


def discard_output() -> None:
    """Let what is still written to the standard output go nowhere: nobody reads it any more."""
    # Otherwise Python would try once more when it ends, and complain.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, sys.stdout.fileno())
    except (OSError, ValueError):
        return  # no file stands behind it
    finally:
        os.close(nowhere)
