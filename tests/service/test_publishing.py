"""Parts of publishing: cutting lines, making messages of them, reading ahead."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker_core import Message
from fair_dispatcher.publishing.lines import Line, Lines
from fair_dispatcher.publishing.parsing import BrokenLine, Parser
from fair_dispatcher.publishing.publisher import BATCH_BYTES, BATCH_MESSAGES, Publisher
from fair_dispatcher.publishing.source import Source
from fair_memory.adapter import MemoryAdapter
from tests.unit.helpers import memory_settings, mortal, until


def cut(chunks: list[bytes], longest_bytes: int = 100) -> list[Line]:
    lines = Lines(longest_bytes)
    return [line for chunk in chunks for line in lines.cut(chunk)] + list(lines.last())


@given(st.binary(max_size=60).map(lambda text: text.replace(b"a", b"\n")), st.data())
def test_lines_do_not_depend_on_where_chunks_end(text: bytes, data: st.DataObject) -> None:
    places = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=5)))
    chunks = [text[begin:end] for begin, end in zip([0, *places], [*places, len(text)], strict=True)]
    expected = text.split(b"\n")
    if not expected[-1]:
        expected.pop()
    assert cut(chunks) == [Line(number, line) for number, line in enumerate(expected, 1)]


def test_a_line_that_is_too_long_is_counted_and_not_kept() -> None:
    assert cut([b"123", b"456\n12", b"345\n123456"], 5) == [Line(1, None), Line(2, b"12345"), Line(3, None)]


def parser(**settings: int) -> Parser:
    return Parser(memory_settings(**settings), MemoryAdapter.capabilities)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not JSON: Expecting value at character 1"),
        ('{"customer": "a", "payload": "b"} x', "not JSON: Extra data at character 35"),
        ("null", "a JSON object is needed, not null"),
        ("3", "a JSON object is needed, not a number"),
        ("[" * 100_000, "not JSON for us: a number too long, or nested too deeply"),
        ('{"cost": ' + "1" * 5000 + "}", "not JSON for us: a number too long, or nested too deeply"),
        ('{"costumer": "a", "payload": "b"}', "unknown field 'costumer'; did you mean customer?"),
        (
            '{"customer": "a", "payload": "b", "at": 1}',
            "unknown field 'at' (known are customer, payload, payload_base64, headers, id, cost; see --ign",
        ),
        ('{"payload": "b"}', "the field customer is missing"),
        ('{"customer": "a"}', "one of the fields payload and payload_base64 is needed, and not both"),
        (
            '{"customer": "a", "payload": "", "payload_base64": ""}',
            "one of the fields payload and payload_base64 is needed, and not both",
        ),
        ('{"customer": "a", "payload": {}}', "payload must be a string, not an object"),
        ('{"customer": "a", "payload_base64": true}', "payload_base64 must be a string, not true or false"),
        ('{"customer": "a", "payload_base64": "x"}', "payload_base64 is not base64: "),
        ('{"customer": "a", "payload_base64": "سلام"}', "payload_base64 is not base64: "),
        (
            '{"customer": "a", "payload": "ab\\ud800"}',
            "payload is no text: half a surrogate pair at character 3",
        ),
        ('{"customer": "a", "payload": "", "headers": []}', "headers must be an object, not an array"),
        (
            '{"customer": "a", "payload": "", "headers": {"k": 1}}',
            "the header 'k' must be a string, not a number",
        ),
        ('{"customer": 7, "payload": ""}', "customer must be a str, not int"),
        ('{"customer": "", "payload": ""}', "customer must have 1–200 characters, not 0"),
        ('{"customer": "a\\n", "payload": ""}', "customer must be text without control characters"),
        ('{"customer": "a", "payload": "", "id": 17}', "id must be None or a str of 1–200 characters"),
        ('{"customer": "a", "payload": "", "cost": 0}', "cost must be an int from 1 to 1000 (max_cost), "),
        ('{"customer": "a", "payload": "", "cost": 1.5}', "cost must be an int from 1 to 1000"),
        ('{"customer": "a", "payload": "12345678901"}', "payload has 11 bytes, allowed are 10"),
    ],
)
def test_what_is_wrong_with_a_line_is_said(text: str, problem: str) -> None:
    with pytest.raises(BrokenLine) as raised:
        parser(max_payload_bytes=10).parse(text.encode())
    assert str(raised.value).startswith(problem)


def test_bytes_that_are_no_text_are_placed() -> None:
    with pytest.raises(BrokenLine, match="not UTF-8 at byte 3"):
        parser().parse(b'{"\xff": 1}')


def test_no_problem_quotes_the_payload() -> None:
    secret = "canary"
    texts = (
        f'{{"customer": "a", "payload": "{secret}"',
        f'{{"customer": "a", "payload": "{secret}", "x": 1}}',
        f'{{"customer": "a", "payload": ["{secret}"]}}',
        f'{{"customer": "a", "payload_base64": "{secret}!"}}',
        f'{{"customer": "a", "payload": "{secret}{"x" * 20}"}}',
        f'"{secret}"',
    )
    for text in texts:
        with pytest.raises(BrokenLine) as raised:
            parser(max_payload_bytes=10).parse(text.encode())
        assert secret not in str(raised.value)


@given(st.binary(max_size=40), st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3))
def test_the_longest_message_fits_into_the_longest_line(payload: bytes, headers: dict[str, str]) -> None:
    text = payload.decode("latin-1")
    try:
        size = sum(len((name + value).encode()) for name, value in headers.items())
    except UnicodeEncodeError:
        return
    line = json.dumps({"customer": "a" * 200, "payload": text, "headers": headers, "id": "i" * 200})
    allowed = parser(max_payload_bytes=len(text.encode()), max_headers_bytes=size).longest_line_bytes
    assert len(line) <= allowed


def test_null_means_left_out() -> None:
    fields = '"payload_base64": null, "headers": null, "id": null, "cost": null'
    message = parser().parse(b'{"customer": "a", "payload": "b", ' + fields.encode() + b"}")
    assert (message.payload, dict(message.headers), message.id, message.cost) == (b"b", {}, None, 1)


async def test_lines_are_published_as_they_come(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    dispatcher, _ = mortal()
    async with dispatcher, Source(pipe) as source:
        publisher = Publisher(dispatcher, Parser(dispatcher.settings, dispatcher.capabilities))
        publishing = asyncio.create_task(publisher.publish(source))
        with await asyncio.to_thread(pipe.open, "wb", 0) as writer:
            writer.write(b'{"customer": "a", "payload": "1"}\n{"customer"')
            await until(lambda: publisher.report.published == 1)
            writer.write(b': "a", "payload": "2"}\n')
            await until(lambda: publisher.report.published == 2)
            writer.write(b'{"customer": "a", "payload": "3"}')
        await publishing
        assert (publisher.report.published, publisher.report.lines) == (3, 3)


async def test_memory_is_bounded_by_what_is_not_consumed(tmp_path: Path) -> None:
    file = tmp_path / "large"
    file.write_bytes(b"x" * (1 << 20))
    async with Source(file) as source:
        chunks = source.chunks()
        first = await anext(chunks)
        await until(lambda: len(source._pending) == 3)  # the first one counts until the next is asked for
        assert len(first) == 1 << 16
        rest = [chunk async for chunk in chunks]
    assert sum(map(len, [first, *rest])) == 1 << 20
    await until(lambda: "reading" not in {thread.name for thread in threading.enumerate()})


async def test_batches_are_bounded_in_messages_and_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[tuple[int, int]] = []
    dispatcher, _ = mortal()
    publish = dispatcher.publish

    async def noting(messages: Sequence[Message]) -> list[str]:
        sizes.append((len(messages), sum(len(message.payload) for message in messages)))
        return await publish(messages)

    monkeypatch.setattr(dispatcher, "publish", noting)
    file = tmp_path / "messages"
    small, large = ('{"customer": "a", "payload": "%s"}\n' % ("x" * size) for size in (10, 1_000_000))
    file.write_text(small * 2 * BATCH_MESSAGES + large * 10)
    async with dispatcher, Source(file) as source:
        await Publisher(dispatcher, Parser(dispatcher.settings, dispatcher.capabilities)).publish(source)
    assert sum(count for count, _ in sizes) == 2 * BATCH_MESSAGES + 10
    assert max(count for count, _ in sizes) <= BATCH_MESSAGES
    assert max(size for _, size in sizes) < BATCH_BYTES + 1_000_000
