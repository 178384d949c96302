"""Publishes a message, receives it, acks it."""

import asyncio

from broker_core import Message, open_dispatcher


async def main() -> None:
    """Need BROKER and the broker's address in the environment."""
    async with open_dispatcher() as d:
        await d.publish(Message(customer="acme", payload=b"hello"))
        for delivery in await d.receive(wait=1.0):
            print(delivery.customer, delivery.message.payload.decode())
            await d.ack(delivery)  # now it leaves the broker; without an ack it would come again


if __name__ == "__main__":
    asyncio.run(main())
