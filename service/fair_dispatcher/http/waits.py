"""Long polls: receives that wait, end when their client hangs up, and all at once when the service ends."""

from __future__ import annotations

import asyncio

from broker_core import Delivery, FairDispatcher
from broker_core.errors import DispatcherError
from fair_dispatcher.http.asgi import Receive
from fair_dispatcher.http.bodies import ClientGone

_RELEASE_SECONDS = 2.0


class Waits:
    """Receives on behalf of clients; what a client can't be given is given back, no attempt counted."""

    def __init__(self, dispatcher: FairDispatcher) -> None:
        self._dispatcher = dispatcher
        self._waiting: set[asyncio.Future[list[Delivery]]] = set()
        self._ending = False

    def __len__(self) -> int:
        return len(self._waiting)

    async def receive(self, most: int, wait_seconds: float, receive: Receive) -> list[Delivery]:
        """Return deliveries as soon as there are some, [] after wait_seconds or when the service ends.

        Raises ClientGone, with nothing left leased.
        """
        if wait_seconds == 0 or self._ending:
            return await self._dispatcher.receive(most, 0.0)
        receiving = asyncio.ensure_future(self._dispatcher.receive(most, wait_seconds))
        hung_up = asyncio.ensure_future(_hung_up(receive))
        self._waiting.add(receiving)
        try:
            await asyncio.wait({receiving, hung_up}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._waiting.discard(receiving)
            here = hung_up.cancel()
            receiving.cancel()
        if here and receiving.done():
            return [] if receiving.cancelled() else receiving.result()
        await asyncio.wait({receiving}, timeout=_RELEASE_SECONDS)
        if here:  # ended together with all others
            return []
        if receiving.done() and not receiving.cancelled() and receiving.exception() is None:
            await self._release(receiving.result())
        raise ClientGone

    def end(self) -> None:
        """End all that wait now or later, at once."""
        self._ending = True
        for receiving in self._waiting:
            receiving.cancel()

    async def _release(self, deliveries: list[Delivery]) -> None:
        if not deliveries:
            return
        try:
            await self._dispatcher.release(deliveries)
        except DispatcherError:
            return  # the leases end by themselves


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue
