"""Where a server comes from: one that runs already, a container, or a program of this machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from tests.servers.interface import BrokerServer, ServerAbsent
from tests.servers.products import Product

Source = Literal["external", "containers", "local"]
Make = Callable[[Product], BrokerServer]


@dataclass(frozen=True, slots=True)
class Found:
    """A server that hasn't been started; origin says in a few words where it comes from."""

    server: BrokerServer
    origin: str


@dataclass(frozen=True, slots=True)
class Sources:
    """The ways to a server; each raises ServerAbsent with the reason if it can't make one.

    image: finds or pulls an image and returns its name. container: makes a server of an image.
    """

    external: Make
    image: Callable[[Product], str]
    container: Callable[[Product, str], BrokerServer]
    local: Make

    def find(self, product: Product, choice: str) -> Found:
        """Return a server by the choice external, containers, local or auto; ServerAbsent if there is none.

        auto takes a container where an engine answers and has or can pull the image, else a local program,
        and never a server that runs already: the tests fill what they are pointed to.
        """
        if choice == "external":
            return Found(self.external(product), f"external, by {product.url_variable}")
        if choice == "containers":
            return self._container(product)
        if choice == "local":
            return Found(self.local(product), "local")
        try:
            return self._container(product)
        except ServerAbsent as absent:
            return Found(self.local(product), f"local, since {absent}")

    def _container(self, product: Product) -> Found:
        image = self.image(product)
        return Found(self.container(product, image), f"container of {image}")


def help_text(products: Mapping[str, Product]) -> str:
    """Return what `--servers` means, with the variables by name."""
    urls = ", ".join(dict.fromkeys(product.url_variable for product in products.values()))
    return (
        "where the brokers come from: external, running ones, by the variables "
        f"{urls} (tests that restart the broker are skipped); containers; "
        "local, child processes of programs on this machine; auto (default), containers where a Docker "
        "engine has or can pull the images, else local. Images: TEST_IMAGE_<NAME>, TEST_IMAGE_PREFIX"
    )
