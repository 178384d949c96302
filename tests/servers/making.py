"""The sources with real servers behind them."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from typing import Literal

from tests.servers import images
from tests.servers.containers import ContainerServer, KafkaContainer, RabbitMQContainer, RedisContainer
from tests.servers.external import external
from tests.servers.interface import BrokerServer, ServerAbsent
from tests.servers.kafka_jars import kafka_jars
from tests.servers.kafka_local import LocalKafka
from tests.servers.products import Kind, Product
from tests.servers.rabbitmq_local import LocalRabbitMQ, debian_rabbitmq
from tests.servers.redis_local import LocalRedis, debian_redis, wheel_redis, wheel_valkey
from tests.servers.sources import Sources

_CONTAINERS: Mapping[Kind, type[ContainerServer]] = {
    "redis": RedisContainer,
    "rabbitmq": RabbitMQContainer,
    "kafka": KafkaContainer,
}
_REDIS_PROGRAMS = {"redis7": debian_redis, "redis8": wheel_redis, "valkey9": wheel_valkey}


def sources(*, mortal: bool) -> Sources:
    """Return ways to servers; mortal: what one confirmed survives its `kill`."""
    return Sources(
        external=lambda product: external(product, os.environ),
        image=_image,
        container=lambda product, image: _CONTAINERS[product.kind](image),
        local=lambda product: _local(product, "always" if mortal else "everysec"),
    )


def _local(product: Product, appendfsync: Literal["always", "everysec"]) -> BrokerServer:
    if product.kind == "rabbitmq":
        return LocalRabbitMQ(debian_rabbitmq())
    if product.kind == "kafka":
        return LocalKafka(kafka_jars())
    return LocalRedis(_REDIS_PROGRAMS[product.name](), appendfsync=appendfsync)


@functools.cache
def _answer(product: Product) -> str | ServerAbsent:
    # Asked once a run: an engine without a network takes its time to say no.
    try:
        client = images.connect()
    except ServerAbsent as absent:
        return absent
    try:
        return images.choose_image(product, images.engine_of(client), os.environ)
    except ServerAbsent as absent:
        return absent
    finally:
        client.close()


def _image(product: Product) -> str:
    answer = _answer(product)
    if isinstance(answer, ServerAbsent):
        raise ServerAbsent(str(answer))
    return answer
