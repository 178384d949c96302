"""An empty server for each measurement of a peer."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Iterator

from bench import servers
from bench.peers.catalogue import Peer
from tests.servers.interface import ServerAbsent

NEWEST_REDIS_VARIABLE = "NEWEST_REDIS_SERVER"
REDIS = servers.ServerSettings(kind="redis7")


def redis() -> contextlib.AbstractContextManager[servers.RunningServer]:
    """Run the Redis that most peers are measured on."""
    return servers.running(REDIS)


@contextlib.contextmanager
def running_for(peer: Peer) -> Iterator[servers.RunningServer]:
    """Run the server that the peer needs; ServerAbsent where this machine lacks it."""
    if peer.server == "redis7":
        with redis() as server:
            yield server
    elif peer.server == "newest_redis":
        command = shlex.split(os.environ.get(NEWEST_REDIS_VARIABLE, ""))
        if not command:
            raise ServerAbsent(f"set {NEWEST_REDIS_VARIABLE} to the command of a Redis 8.6 or newer")
        with servers.running(REDIS, program=command) as server:
            yield server
    else:
        with servers.running(servers.ServerSettings(kind=peer.server)) as server:
            yield server
