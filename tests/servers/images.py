"""The Docker engine and the image for a server: one it has, or else one it can pull.

`python -m tests.servers.images [NAME…]` finds or pulls them, and prints their names.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.servers.interface import ServerAbsent
from tests.servers.products import IMAGE_PREFIX_VARIABLE, PRODUCTS, Product

if TYPE_CHECKING:
    from docker import DockerClient

_SYSTEMS = "unix:///var/run/docker.sock"
_ENGINE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Engine:
    """What the choice of an image asks of an engine."""

    has: Callable[[str], bool]
    matching: Callable[[str], Sequence[str]]
    pull: Callable[[str], None]


def choose_image(product: Product, engine: Engine, environment: Mapping[str, str]) -> str:
    """Return the name of an image that the engine now has; ServerAbsent if there is none to be had.

    The variable of the product decides alone. Otherwise: the official one with the mirror's prefix if the
    engine has it, one of compose/images/build, the official one pulled.
    """
    chosen = environment.get(product.image_variable)
    image = chosen or environment.get(IMAGE_PREFIX_VARIABLE, "") + product.image
    if engine.has(image):
        return image
    built = [] if chosen else sorted(engine.matching(product.built))
    if built:
        return built[-1]
    engine.pull(image)
    return image


def connect() -> DockerClient:
    """Return a client of the engine that DOCKER_HOST names, of the system's, or of compose/images/engine.

    What was found is DOCKER_HOST afterwards. ServerAbsent if none answers.
    """
    try:
        from docker import DockerClient
        from docker.errors import DockerException
        from testcontainers.core.docker_client import get_docker_host
    except ImportError as error:
        raise ServerAbsent(f"the Python package testcontainers is not installed: {error}") from error
    addresses = [get_docker_host() or _SYSTEMS]
    if addresses == [_SYSTEMS] and "DOCKER_HOST" not in os.environ:
        addresses.append(f"unix://{own_socket()}")
    address = next(filter(_listens, addresses), None)
    if address is None:
        raise ServerAbsent(f"no Docker engine answers at {' or '.join(addresses)}")
    try:
        client = DockerClient(base_url=address, timeout=_ENGINE_SECONDS)
        client.ping()
    except (DockerException, OSError) as error:
        raise ServerAbsent(f"no Docker engine answers at {address}: {error}") from error
    os.environ["DOCKER_HOST"] = address
    return client


def _listens(address: str) -> bool:
    # The library would leave an open socket behind.
    if not address.startswith("unix://"):
        return True
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(address.removeprefix("unix://")) == 0


def own_socket() -> Path:
    """Return where the engine of compose/images/engine listens."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = os.environ.get("ENGINE_FOLDER") or cache / "fair-dispatcher-test" / "engine"
    return Path(folder) / "docker.sock"


def engine_of(client: DockerClient) -> Engine:
    """Wrap a client; `pull` raises ServerAbsent with the engine's reason."""
    from docker.errors import APIError, ImageNotFound

    def has(image: str) -> bool:
        try:
            client.images.get(image)
        except ImageNotFound:
            return False
        return True

    def matching(pattern: str) -> Sequence[str]:
        images = client.images.list(filters={"reference": pattern})
        return [tag for image in images for tag in image.tags]

    def pull(image: str) -> None:
        try:
            client.images.pull(image)
        except (APIError, OSError) as error:
            raise ServerAbsent(
                f"the engine neither has the image {image} nor can it pull it"
                f" (compose/images/build makes one): {error}"
            ) from error

    return Engine(has, matching, pull)


def _main(names: Sequence[str]) -> None:
    client = connect()
    try:
        for name in names:
            print(name, choose_image(PRODUCTS[name], engine_of(client), os.environ))
    finally:
        client.close()


if __name__ == "__main__":
    try:
        _main(sys.argv[1:] or list(PRODUCTS))
    except ServerAbsent as absent:
        sys.exit(str(absent))
