"""One channel for consuming, from its opening to its loss: what it brought is valid as long as it lives."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence

from pamqp.base import Frame
from pamqp.commands import Basic

from broker_core.errors import BrokerUnavailable
from fair_rabbitmq.buffers import Arrival
from fair_rabbitmq.connection import Link
from fair_rabbitmq.errors import CLIENT_ERRORS, to_dispatcher_error
from fair_rabbitmq.wire import WireChannel


class Session:
    """Deliveries over one channel, and their ends; everything of it is void once `alive` is False."""

    def __init__(self, link: Link, channel: WireChannel) -> None:
        self._link = link
        self.channel = channel
        self.prefetch = 0
        self._unacked: OrderedDict[int, Arrival] = OrderedDict()

    @property
    def alive(self) -> bool:
        """Whether what came over this channel can still be settled, as far as is known."""
        return not self.channel.is_closed and self._link.is_up

    @property
    def is_idle(self) -> bool:
        """Whether nothing that came is unsettled."""
        return not self._unacked

    def note(self, arrival: Arrival) -> None:
        """Take in a delivery; they come in the order of their tags."""
        self._unacked[arrival.tag] = arrival

    def holds(self, arrival: Arrival) -> bool:
        """Tell whether this delivery is neither settled nor lost."""
        return arrival.tag in self._unacked and self.alive

    async def call(
        self, frames: Sequence[Frame], answers: list[asyncio.Future[Frame]] | None = None
    ) -> list[Frame]:
        """Send frames that are answered. Bounded; raises BrokerUnavailable. answers: see WireChannel.call."""
        wire = self.channel.connection
        return await self._link.bounded(wire, self.channel.call(frames, answers))  # type: ignore[arg-type]

    async def sync(self) -> None:
        """Return when the broker has done what was sent before, and what it sent by then is here."""
        await self.call([Basic.Qos(prefetch_count=self.prefetch)])

    async def ack(self, arrivals: Iterable[Arrival], *, sync: bool = True) -> None:
        """Remove the messages from the broker; returns when it has heard of it, if `sync`."""
        await self._end(arrivals, lambda tag, multiple: Basic.Ack(delivery_tag=tag, multiple=multiple), sync)

    async def requeue(self, arrivals: Iterable[Arrival], *, sync: bool = True) -> None:
        """Give the messages back at their old places."""
        await self._end(
            arrivals,
            lambda tag, multiple: Basic.Nack(delivery_tag=tag, multiple=multiple, requeue=True),
            sync,
        )

    async def _end(self, arrivals: Iterable[Arrival], make: Callable[[int, bool], Frame], sync: bool) -> None:
        frames = self._frames(arrivals, make)
        if not frames:
            return
        wire = self.channel.connection
        try:
            # The acknowledgement and the question whether it was heard go out in one piece.
            if sync:
                question = [Basic.Qos(prefetch_count=self.prefetch)]
                (answer,) = await self._link.bounded(wire, self.channel.ask(question, frames))  # type: ignore[arg-type]
                await self._link.bounded(wire, _result(answer))  # type: ignore[arg-type]
            else:
                await self._link.bounded(wire, self.channel.send(frames))  # type: ignore[arg-type]
        except CLIENT_ERRORS as error:
            raise to_dispatcher_error(error) from error

    def _frames(self, arrivals: Iterable[Arrival], make: Callable[[int, bool], Frame]) -> list[Frame]:
        if not self.alive:
            raise BrokerUnavailable(
                "the connection over which the messages came is lost"
            ) from ConnectionError()
        tags = sorted(arrival.tag for arrival in arrivals if arrival.tag in self._unacked)
        for tag in tags:
            arrival = self._unacked.pop(tag)
            if arrival.consumer == arrival.source.tag:
                arrival.source.outstanding -= 1
        first_left = next(iter(self._unacked), None)
        together = [tag for tag in tags if first_left is None or tag < first_left]
        frames = [make(together[-1], len(together) > 1)] if together else []
        return frames + [make(tag, False) for tag in tags[len(together) :]]


async def _result(answer: asyncio.Future[Frame]) -> Frame:
    return await answer


def by_session(arrivals: Iterable[Arrival]) -> dict[Session, list[Arrival]]:
    """Group deliveries by the session over which they came."""
    sessions: dict[Session, list[Arrival]] = {}
    for arrival in arrivals:
        sessions.setdefault(arrival.session, []).append(arrival)
    return sessions
