"""Handlers for tests of `fairdispatch work`; each writes what it did to the file that RECORD_FILE names."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time

from broker_core import Delivery, Reject, Retry


def note(what: str, delivery: Delivery) -> None:
    """Append one line, which is whole however this process ends."""
    line = {
        "what": what,
        "id": delivery.id,
        "customer": delivery.customer,
        "attempt": delivery.attempt,
        "pid": os.getpid(),
        "thread": threading.get_ident(),
        "time": time.monotonic(),
    }
    file = os.open(os.environ["RECORD_FILE"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, json.dumps(line).encode() + b"\n")
    os.close(file)


async def record(delivery: Delivery) -> None:
    note("handled", delivery)


async def slow(delivery: Delivery) -> None:
    """Take as many seconds as the customer's name says."""
    note("begun", delivery)
    await asyncio.sleep(float(delivery.customer))
    note("handled", delivery)


async def crash_at_first(delivery: Delivery) -> None:
    if delivery.attempt == 1:
        note("crashed", delivery)
        os._exit(9)
    note("handled", delivery)


async def block(delivery: Delivery) -> None:
    busy_for(float(delivery.message.payload))
    note("handled", delivery)


def busy_for(seconds: float) -> None:
    time.sleep(seconds)


def slow_sync(delivery: Delivery) -> None:
    note("begun", delivery)
    time.sleep(float(delivery.message.payload))
    note("handled", delivery)


def by_customer(delivery: Delivery) -> None:
    """Do what the customer's name says."""
    note("begun", delivery)
    match delivery.customer:
        case "crash":
            os._exit(7)
        case "retry":
            if delivery.attempt == 1:
                raise Retry(0.0, "busy")
        case "reject":
            raise Reject("bad number")
        case "fail":
            secret = delivery.message.payload
            raise ValueError(f"{len(secret)} bytes are too many")
        case "exit":
            raise SystemExit(3)
    note("handled", delivery)


async def fail_once(delivery: Delivery) -> None:
    if delivery.attempt == 1:
        raise RuntimeError("as a test wants it")
    note("handled", delivery)
