"""Builds the library of server functions from its files and names it by its content."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable

from fair_redis_streams import keys


@dataclass(frozen=True, slots=True)
class Library:
    """The source of all functions. Two releases have two names, so both work on one server."""

    name: str
    source: str
    prefix: str

    def function(self, operation: str) -> bytes:
        """Return the name under which the server knows an operation."""
        return (self.prefix + operation).encode()


@cache
def library() -> Library:
    """Return the library of this release; always the same for the same files."""
    folder = resources.files(__package__).joinpath("functions")
    parts = [keys.lua_source()]
    parts += [entry.read_text("utf-8") for entry in _lua_files(folder.joinpath("lib"))]
    # Each operation in a block of its own, since Lua allows 200 local names in a chunk.
    parts += [f"do\n{entry.read_text('utf-8')}end\n" for entry in _lua_files(folder)]
    body = "\n".join(parts)
    version = hashlib.sha256(body.encode()).hexdigest()[:12]
    prefix = f"fd_{version}_"
    name = f"fairdispatcher_{version}"
    return Library(name, f"#!lua name={name}\nlocal PREFIX = '{prefix}'\n{body}", prefix)


def _lua_files(folder: Traversable) -> list[Traversable]:
    return sorted((entry for entry in folder.iterdir() if entry.name.endswith(".lua")), key=lambda e: e.name)
