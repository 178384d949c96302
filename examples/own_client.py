"""Lets the dispatcher use a Redis client that the program made, beside the program's own use of it.

The dispatcher never closes a client that it didn't make, and sends its commands through the client's pool.
"""

import asyncio
import os

import redis.asyncio as redis

from broker_core import Message, open_dispatcher


async def main() -> None:
    """Need REDIS_URL in the environment."""
    # decode_responses stays False: payloads are bytes. The pool has to be large enough for both users.
    client = redis.Redis.from_url(os.environ["REDIS_URL"], client_name="billing", max_connections=20)
    try:
        await client.set("balance:acme", 100)
        async with open_dispatcher("redis", client=client) as d:
            await d.publish(Message(customer="acme", payload=b"hello"))
            for delivery in await d.receive(wait=1.0):
                balance = await client.decrby(f"balance:{delivery.customer}", delivery.message.cost)
                print(delivery.customer, "has", balance, "left")
                await d.ack(delivery)
        await client.delete("balance:acme")  # the dispatcher is closed, the client isn't
    finally:
        await client.aclose()


if __name__ == "__main__":
    asyncio.run(main())
