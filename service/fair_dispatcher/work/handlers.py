"""Finds a handler by its name."""

from __future__ import annotations

import importlib
import inspect
import traceback
from collections.abc import Callable
from types import ModuleType
from typing import TypeGuard

from broker_core import Delivery
from broker_core.errors import ConfigurationError
from broker_core.worker import Handler

Function = Callable[[Delivery], object]


class HandlerExit(Exception):
    """A handler wanted to end the process (SystemExit); that is a failure of its message like any other."""


def load(name: str) -> Function:
    """Import `module:function` (dots after the colon are attributes) from the current folder or sys.path.

    Raises ConfigurationError, with the reason in one line, if that doesn't give a handler.
    """
    module_name, _, path = name.partition(":")
    if not (module_name and path):
        raise ConfigurationError(f"--handler is {name!r}, but has to be module:function")
    found: object = _import(name, module_name)
    for attribute in path.split("."):
        try:
            found = getattr(found, attribute)
        except AttributeError:
            raise ConfigurationError(f"--handler {name}: {module_name} has no {path}") from None
    if not callable(found) or isinstance(found, type):
        raise ConfigurationError(f"--handler {name} is no function")
    _check(name, found)
    return found


def is_async(function: Function) -> TypeGuard[Handler]:
    """Tell whether it is a coroutine function, or an object that is called like one."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - whether it is one matters, not whether it exists
    )


def call(function: Function, delivery: Delivery) -> None:
    """Call a function that isn't async.

    Raises TypeError if it has only begun something that nobody would await, HandlerExit for SystemExit.
    """
    try:
        result = function(delivery)
    except (SystemExit, KeyboardInterrupt) as error:
        raise HandlerExit(f"{type(error).__name__}: {error}") from error
    except StopIteration as error:  # no future can carry it
        raise RuntimeError("the handler raised StopIteration") from error
    if inspect.isawaitable(result):
        if inspect.iscoroutine(result):
            result.close()
        raise TypeError("the handler isn't async, but returned something to await: make it async def")


def _import(name: str, module_name: str) -> ModuleType:
    try:
        return importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        # The boundary to code that isn't ours: whatever is wrong with it, it can't be run.
        raise ConfigurationError(
            f"--handler {name} can't be imported: {type(error).__name__}: {error}{_place(error)}"
        ) from error


def _place(error: BaseException) -> str:
    """Tell where in the imported code the error came up; nothing if it came before any of that ran."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename not in (__file__, importlib.__file__) and not frame.filename.startswith("<frozen")
    ]
    return f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""


def _check(name: str, function: Function) -> None:
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ConfigurationError(f"--handler {name} is a generator, which nobody would run to its end")
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return  # a function that can't tell
    try:
        signature.bind(None)
    except TypeError:
        raise ConfigurationError(
            f"--handler {name} has to take one argument, the delivery, but takes {signature}"
        ) from None
