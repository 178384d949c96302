"""Structured logs: of this process, and of the libraries that use the standard logging, in one stream.

A line has timestamp (UTC), level, logger, event and whatever else was given; in a handler also customer,
message_id and attempt, and request_id and trace_id if the message was published with them. Payloads and
local variables never appear by themselves, and passwords in URLs are blanked out.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Literal, TextIO, get_args

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from broker_core import Delivery
from fair_dispatcher.http import trace

LogFormat = Literal["console", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]
LOG_LEVELS: tuple[LogLevel, ...] = get_args(LogLevel)

# Whose message the code that runs now belongs to.
current_delivery: ContextVar[Delivery | None] = ContextVar("current_delivery", default=None)

_PASSWORD_IN_URL = re.compile(r"(://[^\s/:@]*:)[^\s/@]+(?=@)|(\bpassword=)[^&\s\"']+")


def suitable_format(stream: TextIO) -> LogFormat:
    """Choose the format for people if they look at the stream, the one for machines otherwise."""
    return "console" if stream.isatty() else "json"


def configure(
    log_format: LogFormat, level: LogLevel, stream: TextIO | None = None, **fields: str | int
) -> None:
    """Let everything that is logged in this process go to the stream (the standard error), with the fields.

    Replaces what was configured before.
    """
    output = sys.stderr if stream is None else stream
    common: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _Adder(fields),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *common,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(output)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=common,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_rendering(log_format, colours=output.isatty()),
                _without_passwords,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.captureWarnings(capture=True)


def _rendering(log_format: LogFormat, *, colours: bool) -> Sequence[Processor]:
    # Tracebacks are plain: prettier ones show local variables, and these hold payloads.
    if log_format == "console":
        return [
            structlog.dev.ConsoleRenderer(colors=colours, exception_formatter=structlog.dev.plain_traceback)
        ]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)]


class _Adder:
    """Adds what is the same in all lines of a process, and whose message it is about."""

    def __init__(self, fields: dict[str, str | int]) -> None:
        self._fields = fields

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        for name, value in self._fields.items():
            event.setdefault(name, value)
        if (delivery := current_delivery.get()) is not None:
            event.setdefault("customer", delivery.customer)
            event.setdefault("message_id", delivery.id)
            event.setdefault("attempt", delivery.attempt)
            for name, value in trace.logged(delivery.message.headers).items():
                event.setdefault(name, value)
        return event


def _without_passwords(_logger: WrappedLogger, _method: str, line: EventDict) -> str:
    return _PASSWORD_IN_URL.sub(r"\1\2***", str(line))
