"""Logs are structured, whoever writes them, and keep secrets and payloads to themselves."""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import structlog

from broker_core import Delivery, Message
from fair_dispatcher import logs

NOW = datetime.now(UTC)
PAYLOAD = b"a-secret-payload"
DELIVERY = Delivery(Message("acme", PAYLOAD), "1-0", 2, NOW, NOW, "a-secret-receipt")


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_own_lines_and_those_of_libraries_look_alike(stream: io.StringIO) -> None:
    logs.configure("json", "info", stream, process=2)
    structlog.stdlib.get_logger("own").info("something %s", "happened", more=1)
    logging.getLogger("library").warning("something %s", "happened", extra={"more": 1})
    own, library = lines(stream)
    for line in (own, library):
        assert (line["event"], line["more"], line["process"]) == ("something happened", 1, 2)
        assert datetime.fromisoformat(line["timestamp"]).utcoffset() is not None
    assert (own["logger"], own["level"]) == ("own", "info")
    assert (library["logger"], library["level"]) == ("library", "warning")


@pytest.mark.parametrize(("level", "shown"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_the_level_counts_for_both(stream: io.StringIO, level: logs.LogLevel, shown: int) -> None:
    logs.configure("json", level, stream)
    for logger in (structlog.stdlib.get_logger("own"), logging.getLogger("library")):
        for method in ("debug", "info", "warning", "error"):
            getattr(logger, method)(method)
    assert len(lines(stream)) == 2 * shown


def test_lines_of_a_handler_name_its_message(stream: io.StringIO) -> None:
    logs.configure("json", "debug", stream)
    token = logs.current_delivery.set(DELIVERY)
    logging.getLogger("library").info("%s", DELIVERY)
    structlog.stdlib.get_logger("own").info("other", customer="other")
    logs.current_delivery.reset(token)
    logging.getLogger("library").info("after")
    inside, other, after = lines(stream)
    assert (inside["customer"], inside["message_id"], inside["attempt"]) == ("acme", "1-0", 2)
    assert other["customer"] == "other"
    assert "customer" not in after
    assert PAYLOAD.decode() not in stream.getvalue()
    assert "a-secret-receipt" not in stream.getvalue()


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_tracebacks_are_complete_and_without_local_variables(
    stream: io.StringIO, log_format: logs.LogFormat
) -> None:
    logs.configure(log_format, "info", stream)

    def fail(payload: bytes) -> None:
        raise ValueError(f"{len(payload)} bytes")

    for logger in (structlog.stdlib.get_logger("own"), logging.getLogger("library")):
        try:
            fail(PAYLOAD)
        except ValueError:
            logger.exception("failed")
    text = stream.getvalue()
    assert text.count("in fail") == 2
    assert text.count("ValueError: 16 bytes") == 2
    assert PAYLOAD.decode() not in text


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_passwords_in_urls_are_blanked_out(stream: io.StringIO, log_format: logs.LogFormat) -> None:
    logs.configure(log_format, "info", stream)
    for url in (
        "redis://user:pa55word@host/0",
        "rediss://:pa55word@host",
        "redis://host?password=pa55word&db=1",
    ):
        logging.getLogger("library").info("connecting to %s", url)
        structlog.stdlib.get_logger("own").info("connecting", url=url)
        try:
            raise ValueError(url)
        except ValueError:
            logging.getLogger("library").exception("failed")
    text = stream.getvalue()
    assert "pa55word" not in text
    assert text.count("***") == 9
    assert text.count("host") == 9


def test_the_console_format_is_for_people(stream: io.StringIO) -> None:
    logs.configure("console", "info", stream, process=2)
    structlog.stdlib.get_logger("own").warning("something happened", more="a b")
    (line,) = stream.getvalue().splitlines()
    assert "something happened" in line
    assert "[warning" in line
    assert "more='a b'" in line
    assert "process=2" in line
    assert "\x1b" not in line  # colours are for terminals


def test_warnings_of_python_go_to_the_log(stream: io.StringIO) -> None:
    logs.configure("json", "info", stream)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old ways", stacklevel=1)
    (line,) = lines(stream)
    assert "old ways" in line["event"]
    assert line["level"] == "warning"


def test_the_format_follows_from_who_looks() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert logs.suitable_format(Terminal()) == "console"
    assert logs.suitable_format(io.StringIO()) == "json"
