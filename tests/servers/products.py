"""Which servers the tests ask for, and what each is called wherever it may come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["redis", "rabbitmq", "kafka"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """One server. reports: how the version that it tells of itself begins.

    url_variable: the variable with the address of one that runs already. image: the official one.
    built: a pattern of the names that compose/images/build gives.
    """

    name: str
    kind: Kind
    reports: str
    url_variable: str
    image: str
    built: str

    @property
    def image_variable(self) -> str:
        """The variable that names another image than the official one."""
        return f"TEST_IMAGE_{self.name.upper()}"


PRODUCTS = {
    product.name: product
    for product in (
        Product(
            name="redis7",
            kind="redis",
            reports="redis 7.",
            url_variable="REDIS_URL",
            image="redis:7",
            built="fair-dispatcher-test/redis:7.*",
        ),
        Product(
            name="redis8",
            kind="redis",
            reports="redis 8.",
            url_variable="REDIS_URL",
            image="redis:8",
            built="fair-dispatcher-test/redis:8.*",
        ),
        Product(
            name="valkey9",
            kind="redis",
            reports="valkey 9.",
            url_variable="VALKEY_URL",
            image="valkey/valkey:9",
            built="fair-dispatcher-test/valkey:9.*",
        ),
        Product(
            name="rabbitmq",
            kind="rabbitmq",
            reports="rabbitmq ",
            url_variable="RABBITMQ_URL",
            image="rabbitmq:4-management",
            built="fair-dispatcher-test/rabbitmq:*",
        ),
        Product(
            name="kafka",
            kind="kafka",
            reports="kafka ",
            url_variable="KAFKA_BOOTSTRAP_SERVERS",
            image="apache/kafka:4.4.0",
            built="fair-dispatcher-test/kafka:*",
        ),
    )
}
IMAGE_PREFIX_VARIABLE = "TEST_IMAGE_PREFIX"
