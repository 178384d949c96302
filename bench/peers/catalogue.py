"""The peers, with the packages that each needs, pinned."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One program of `programs/`.

    packages: of a virtual environment of its own; none: it runs in the project's. total: messages at full
    size, fewer for slow ones. server: redis7, newest_redis (8.6 or newer), rabbitmq or kafka. fair, recovers:
    among customers; after the death of a consumer. published: a Python queue library that one can install.
    """

    program: str
    label: str
    packages: tuple[str, ...] = ()
    total: int = 100_000
    server: str = "redis7"
    fair: bool = False
    recovers: bool = False
    published: bool = False
    ignores_python_version: bool = False

    @property
    def key(self) -> str:
        """Name it among all; the product appears once a broker."""
        return self.program if self.server in {"redis7", "newest_redis"} else f"{self.program}@{self.server}"


PRODUCT = "fair_dispatcher_receive"
PEERS = (
    Peer(program=PRODUCT, label="this product, receive and ack", total=200_000, fair=True, recovers=True),
    Peer(program="fair_dispatcher_worker", label="this product, Worker", fair=True, recovers=True),
    Peer(program="shared_stream", label="one shared stream, redis-py", total=200_000),
    Peer(program="obvious_design", label="a stream a customer, all read in each loop", total=200_000),
    Peer(
        program="streaq_worker",
        label="streaQ",
        packages=("streaq==7.2.0", "uvloop"),
        total=10_000,
        recovers=True,
        published=True,
    ),
    Peer(
        program="faststream_subscriber",
        label="FastStream",
        packages=("faststream[redis]==0.7.8", "uvloop"),
        total=20_000,
        recovers=True,
        published=True,
    ),
    Peer(
        program="taskiq_receiver",
        label="taskiq-redis",
        packages=("taskiq-redis==1.2.4", "uvloop"),
        total=20_000,
        recovers=True,
        published=True,
    ),
    Peer(
        program="chasquimq_worker",
        label="ChasquiMQ",
        packages=("chasquimq==1.3.0",),
        total=50_000,
        server="newest_redis",
        recovers=True,
        published=True,
    ),
    Peer(
        program="vtrr_scripts",
        label="vtrr-queue, scripts alone",
        packages=("vtrr-queue==0.1.0",),
        total=20_000,
        fair=True,
        published=True,
        ignores_python_version=True,
    ),
    Peer(
        program=PRODUCT,
        label="this product on RabbitMQ",
        server="rabbitmq",
        total=20_000,
        fair=True,
        recovers=True,
    ),
    Peer(program="bare_aio_pika", label="bare aio-pika", server="rabbitmq", total=20_000),
    Peer(
        program=PRODUCT, label="this product on Kafka", server="kafka", total=50_000, fair=True, recovers=True
    ),
    Peer(program="bare_aiokafka", label="bare aiokafka", server="kafka", total=50_000),
)
# Whose rates are divided by whose, beside the fastest published library and redis-benchmark.
BARE = ((f"{PRODUCT}@rabbitmq", "bare_aio_pika@rabbitmq"), (f"{PRODUCT}@kafka", "bare_aiokafka@kafka"))
