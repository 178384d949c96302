"""A bare aio-pika client: a durable quorum queue a customer, confirms, prefetch 10, an ack a message.

Nothing chooses whose turn it is; messages come as the broker sends them.
"""

from __future__ import annotations

import asyncio

import aio_pika
import uvloop
from measuring import Task, clocked, main

PREFETCH = 10
EXCHANGE = "bare"


async def prepare(task: Task) -> None:
    """Declare the queues."""
    async with await aio_pika.connect(task.url) as connection:
        channel = await connection.channel()
        exchange = await channel.declare_exchange(EXCHANGE, durable=True)
        for number in range(task.customers):
            name = task.customer(number)
            queue = await channel.declare_queue(name, durable=True, arguments={"x-queue-type": "quorum"})
            await queue.bind(exchange, name)


async def publish(task: Task) -> None:
    """200 at a time, each confirmed."""
    async with await aio_pika.connect(task.url) as connection:
        channel = await connection.channel(publisher_confirms=True)
        exchange = await channel.get_exchange(EXCHANGE)
        for numbers in task.batches():
            await asyncio.gather(
                *(
                    exchange.publish(
                        aio_pika.Message(
                            task.payload(number), delivery_mode=aio_pika.DeliveryMode.PERSISTENT
                        ),
                        task.customer(number),
                        mandatory=True,
                    )
                    for number in numbers
                )
            )


async def consume(task: Task) -> None:
    """A consumer a queue."""
    async with await aio_pika.connect(task.url) as connection:
        channel = await connection.channel()
        await channel.set_qos(PREFETCH)

        async def handle(message: aio_pika.abc.AbstractIncomingMessage) -> None:
            task.handle(message.body)
            await message.ack()

        for number in range(task.customers):
            queue = await channel.get_queue(task.customer(number), ensure=False)
            await queue.consume(handle)
        await task.all_handled()


if __name__ == "__main__":
    main(clocked(publish), clocked(consume), uvloop.run, prepare)
