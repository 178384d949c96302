"""The brokers that dispatchers of this process share, one for each URL and namespace."""

from __future__ import annotations

from dataclasses import dataclass

from fair_memory.broker import MemoryBroker

Key = tuple[type[MemoryBroker], str, str]


@dataclass(slots=True)
class _Shared:
    broker: MemoryBroker
    users: int = 0


_shared: dict[Key, _Shared] = {}


def join_namespace(key: Key) -> MemoryBroker:
    """Return the broker of this kind, URL and namespace, which stays while it is used."""
    _drop_unused()
    shared = _shared.get(key)
    if shared is None:
        shared = _shared[key] = _Shared(key[0]())
    shared.users += 1
    return shared.broker


def leave_namespace(key: Key) -> None:
    """End the use of a broker; it is dropped when nobody uses it and nothing is in it."""
    _shared[key].users -= 1
    _drop_unused()


def find_namespace(key: Key) -> MemoryBroker | None:
    """Return the broker if it is there."""
    shared = _shared.get(key)
    return None if shared is None else shared.broker


def _drop_unused() -> None:
    for key, shared in list(_shared.items()):
        if shared.users == 0 and shared.broker.is_empty():
            del _shared[key]
