"""Ends a worker by SIGTERM or Ctrl-C: what is being handled is finished, what is not begun is given back.

stop() lets the handlers that run go on for grace_seconds, and acks what they finish. What was received and
not begun is released: ready at its old place, for another consumer, its attempt not counted. Keep
grace_seconds below the time after which the platform kills the process (Kubernetes: 30 s, Docker: 10 s).

`fairdispatch work` does all this, in several processes; this is how a program does it by itself.
"""

import asyncio
import signal

from broker_core import Delivery, Worker, open_dispatcher


async def handle(delivery: Delivery) -> None:
    """Stand for work that takes a while."""
    await asyncio.sleep(0.5)
    print("handled", delivery.message.payload.decode(), flush=True)


async def main() -> None:
    """Work until SIGTERM or Ctrl-C."""
    async with open_dispatcher() as d:
        worker = Worker(d, handle, concurrency=4, grace_seconds=8.0)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, worker.stop)
        print("working", flush=True)
        await worker.run()  # returns after stop(), when nothing is held any more
    print("ended", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
