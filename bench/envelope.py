"""Size and speed of ways to write an envelope, on the traffic sample: `python -m bench.envelope`.

Each way turns a Message into bytes and back into an equal Message. JSON has no bytes: a payload that may be
anything has to be base64; as text it would be for texts only, and is shown for comparison.
"""

from __future__ import annotations

import base64
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from bench import machine, report
from broker_core import Message, envelope

SAMPLE = Path(__file__).parents[1] / "examples" / "traffic" / "sample.ndjson"
REPEAT = 5
Body = tuple[bytes, dict[str, str], str | None]


@dataclass(frozen=True, slots=True)
class Way:
    """One way to write an envelope. texts_only: it can't carry every payload."""

    name: str
    encode: Callable[[Message], bytes]
    decode: Callable[[bytes, str, int], Message]
    texts_only: bool = False


def _json_encode(message: Message) -> bytes:
    body = {"p": base64.b64encode(message.payload).decode(), "h": dict(message.headers), "i": message.id}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _json_decode(data: bytes, customer: str, cost: int) -> Message:
    body = json.loads(data)
    return Message(customer, base64.b64decode(body["p"]), body["h"], body["i"], cost)


def _json_text_encode(message: Message) -> bytes:
    body = {"p": message.payload.decode(), "h": dict(message.headers), "i": message.id}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _json_text_decode(data: bytes, customer: str, cost: int) -> Message:
    body = json.loads(data)
    return Message(customer, body["p"].encode(), body["h"], body["i"], cost)


_msgpack_encoder = msgspec.msgpack.Encoder()
_msgpack_decoder = msgspec.msgpack.Decoder(Body)


def _msgpack_encode(message: Message) -> bytes:
    return _msgpack_encoder.encode((message.payload, message.headers, message.id))


def _msgpack_decode(data: bytes, customer: str, cost: int) -> Message:
    payload, headers, message_id = _msgpack_decoder.decode(data)
    return Message(customer, payload, headers, message_id, cost)


WAYS = (
    Way("protobuf (chosen)", envelope.encode, envelope.decode),
    Way("MessagePack (msgspec)", _msgpack_encode, _msgpack_decode),
    Way("JSON, payload in base64", _json_encode, _json_decode),
    Way("JSON, payload as text", _json_text_encode, _json_text_decode, texts_only=True),
)


def read_sample(headers: bool) -> list[Message]:
    """Return the messages of the sample."""
    rows = [json.loads(line) for line in SAMPLE.read_text("utf-8").splitlines()]
    return [
        Message(
            row["customer"], row["payload"].encode(), row["headers"] if headers else {}, None, row["cost"]
        )
        for row in rows
    ]


def measure(way: Way, messages: Sequence[Message], payload_bytes: float) -> dict[str, float | list[float]]:
    """Return bytes a message, and microseconds of encoding and decoding one in each repetition."""
    written = [way.encode(message) for message in messages]
    for message, data in zip(messages, written, strict=True):
        assert way.decode(data, message.customer, message.cost) == message
    encode_us, decode_us = [], []
    for _ in range(REPEAT):
        start = time.perf_counter()
        for message in messages:
            way.encode(message)
        middle = time.perf_counter()
        for message, data in zip(messages, written, strict=True):
            way.decode(data, message.customer, message.cost)
        end = time.perf_counter()
        encode_us.append((middle - start) / len(messages) * 1e6)
        decode_us.append((end - middle) / len(messages) * 1e6)
    size = sum(map(len, written)) / len(written)
    return {
        "bytes": size,
        "bytes beside the payload": size - payload_bytes,
        "encode_us": encode_us,
        "decode_us": decode_us,
    }


def main(
    json_file: Annotated[Path | None, typer.Option("--json", help="Where to write the result.")] = None,
) -> None:
    """Print a table; write the raw values if asked to."""
    raw: dict[str, object] = {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine.describe(),
        "sample": SAMPLE.name,
    }
    console = Console(width=None if sys.stdout.isatty() else 100)
    for headers in (True, False):
        messages = read_sample(headers)
        payload_bytes = sum(len(message.payload) for message in messages) / len(messages)
        kind = "with headers" if headers else "without headers"
        shown = Table(title=f"{len(messages):,} messages {kind}, payload {payload_bytes:.1f} B on average")
        for heading in ("", "B", "B beside the payload", "encode µs", "decode µs"):
            shown.add_column(heading, justify="right" if heading else "left")
        results = {way.name: measure(way, messages, payload_bytes) for way in WAYS}
        raw[kind] = {"messages": len(messages), "payload_bytes": payload_bytes, "ways": results}
        for way in WAYS:
            size, beside, *times = results[way.name].values()
            medians = [f"{statistics.median(one):.2f}" for one in times if isinstance(one, list)]
            name = way.name + (" (texts only)" if way.texts_only else "")
            shown.add_row(name, f"{size:.1f}", f"{beside:.1f}", *medians)
        console.print(shown)
    if json_file is not None:
        report.write(json_file, json.dumps(raw, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    typer.run(main)
