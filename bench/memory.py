"""What a server holds."""

from __future__ import annotations

import redis.asyncio


async def used_bytes(server: redis.asyncio.Redis) -> int:
    """Return the server's used_memory."""
    info: dict[str, int] = await server.info("memory")
    return info["used_memory"]


async def keys(server: redis.asyncio.Redis) -> list[str]:
    """Return all keys, sorted."""
    return sorted([key.decode() async for key in server.scan_iter(count=1000)])
