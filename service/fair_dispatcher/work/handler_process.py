"""A process that runs a handler which isn't async, one delivery at a time, for the worker process above it.

It gets deliveries and tells their outcomes: a length (4 bytes, big-endian) and then a pickle, or JSON.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import threading
import time
import traceback
from queue import SimpleQueue
from typing import BinaryIO

import structlog

from broker_core import Delivery, Reject, Retry
from broker_core.errors import ConfigurationError
from fair_dispatcher import logs
from fair_dispatcher.work import frames
from fair_dispatcher.work.handlers import Function, call, load
from fair_dispatcher.work.lifeline import Lifeline, ignore_signals
from fair_dispatcher.work.options import WorkOptions

_LAST_SECONDS = 1.0

_log = structlog.stdlib.get_logger(__name__)


def main() -> None:
    """Run deliveries until the line ends."""
    lifeline = Lifeline(WorkOptions)
    # Whoever wants to end the run tells the supervisor; we end with the worker process.
    ignore_signals(signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    assignment = lifeline.assignment
    logs.configure(assignment.options.log_format, assignment.options.log_level, process=assignment.number)
    deliveries: SimpleQueue[bytes | None] = SimpleQueue()
    threading.Thread(target=_read, args=(lifeline.input, deliveries), daemon=True).start()
    try:
        function = load(assignment.options.handler)
    except ConfigurationError as error:
        _log.error("the handler's process can't run it", reason=str(error))
        return
    while (pickled := deliveries.get()) is not None:
        outcome = _outcome(function, pickle.loads(pickled))  # noqa: S301 - it comes from our parent
        lifeline.send(frames.pack(json.dumps(outcome).encode()))


def _read(source: BinaryIO, deliveries: SimpleQueue[bytes | None]) -> None:
    while (frame := frames.read(source)) is not None:
        deliveries.put(frame)
    deliveries.put(None)
    time.sleep(_LAST_SECONDS)
    os._exit(1)  # a handler still runs, for a message that is no longer ours


def _outcome(function: Function, delivery: Delivery) -> dict[str, object]:
    logs.current_delivery.set(delivery)
    try:
        call(function, delivery)
    except Retry as error:
        return {"outcome": "retry", "delay": error.delay, "reason": error.reason}
    except Reject as error:
        return {"outcome": "reject", "reason": error.reason}
    except Exception as error:  # noqa: BLE001 - whatever a handler raises is the fate of its message
        # As text, since not every exception can be rebuilt in another process.
        return {
            "outcome": "failed",
            "reason": f"{type(error).__name__}: {error}",
            "traceback": "".join(traceback.format_exception(error)),
        }
    return {"outcome": "done"}


if __name__ == "__main__":
    main()
