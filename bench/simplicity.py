"""What there is to run and to know with each broker: counted in a running server, read from files, or quoted.

Steps are those of the brokers' own documentation, in our words; they are not measured here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
import redis
from aiokafka.admin import AIOKafkaAdminClient

from tests.servers.kafka_local import LocalKafka
from tests.servers.rabbitmq_local import LocalRabbitMQ
from tests.servers.redis_local import LocalRedis

Server = LocalRedis | LocalRabbitMQ | LocalKafka

_COMPOSE = Path(__file__).parents[1] / "compose"
# File, and what a setting of the server looks like in it.
_SETTINGS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "redis": (("redis.yaml", r"^ +- --([a-z-]+)$"),),
    "rabbitmq": (
        ("rabbitmq.yaml", r"^ +(RABBITMQ_DEFAULT_[A-Z_]+|hostname):"),
        ("rabbitmq.conf", r"^([a-z_.]+) ="),
    ),
    "kafka": (("kafka.yaml", r"^ +(CLUSTER_ID|KAFKA_(?!BOOTSTRAP)[A-Z_]+):"),),
}


@dataclass(frozen=True, slots=True)
class Steps:
    """What a person does to add a node, and to replace one that is lost, in a system of several."""

    add: tuple[str, ...]
    replace: tuple[str, ...]
    sources: tuple[str, ...]


STEPS: Mapping[str, Steps] = {
    "redis": Steps(
        add=(
            "start a server with the same configuration",
            "redis-cli --cluster add-node NEW ANY, as a replica with --cluster-slave",
            "for a primary: redis-cli --cluster rebalance ANY --cluster-use-empty-masters, which moves slots",
        ),
        replace=(
            "nothing at first: a replica takes over by itself",
            "start a server with the same configuration",
            "redis-cli --cluster add-node NEW ANY --cluster-slave",
            "redis-cli --cluster call ANY cluster forget OLD",
        ),
        sources=("https://redis.io/docs/latest/operate/oss_and_stack/management/scaling/",),
    ),
    "rabbitmq": Steps(
        add=(
            "copy the Erlang cookie; every node must resolve the others' host names",
            "start a server",
            "on it: rabbitmqctl stop_app, join_cluster, start_app",
            "rabbitmq-queues grow NEW all, which gives each quorum queue a replica there",
            "rabbitmq-streams add_replica STREAM NEW, for the journal and the dead letters of each namespace",
        ),
        replace=(
            "rabbitmq-queues shrink OLD",
            "rabbitmq-streams delete_replica STREAM OLD, for each stream",
            "rabbitmqctl forget_cluster_node OLD",
            "all steps of adding one",
        ),
        sources=(
            "https://www.rabbitmq.com/docs/clustering",
            "https://www.rabbitmq.com/docs/quorum-queues#replica-management",
            "https://www.rabbitmq.com/docs/streams",
        ),
    ),
    "kafka": Steps(
        add=(
            "format its storage with the cluster's id and a node id of its own",
            "start a server; it gets no partition that exists already",
            "kafka-reassign-partitions --generate, with the topics and the brokers",
            "kafka-reassign-partitions --execute",
            "kafka-reassign-partitions --verify, which also ends the throttle",
        ),
        replace=(
            "format storage with the cluster's id and the old node id",
            "start a server; it copies the partitions of the lost one",
            "where it was a controller too: kafka-metadata-quorum remove-controller, then add-controller",
        ),
        sources=(
            "https://kafka.apache.org/documentation/#basic_ops_cluster_expansion",
            "https://kafka.apache.org/documentation/#kraft",
        ),
    ),
}


def facts(name: str) -> dict[str, float | str]:
    """Return what is the same in every run."""
    settings, steps = server_settings(name), STEPS[name]
    return {
        "server settings in compose/": len(settings),
        "which": ", ".join(settings),
        "steps to add a node": len(steps.add),
        "adding": "; ".join(steps.add),
        "steps to replace a node": len(steps.replace),
        "replacing": "; ".join(steps.replace),
        "source of the steps": " ".join(steps.sources),
    }


def server_settings(name: str) -> list[str]:
    """Name the settings that the server has in compose/, where it is set up to be relied upon."""
    found: list[str] = []
    for file, setting in _SETTINGS[name]:
        found += re.findall(setting, (_COMPOSE / file).read_text("utf-8"), re.MULTILINE)
    return found


async def objects(server: Server) -> int:
    """Count what the server has a name for: keys, queues with their bindings, or partitions."""
    if isinstance(server, LocalRedis):
        with redis.Redis.from_url(server.url) as client:
            return int(client.dbsize())
    if isinstance(server, LocalRabbitMQ):
        async with httpx.AsyncClient(base_url=server.management_url, timeout=60) as http:
            queues = (await http.get("/api/queues", params={"columns": "name"})).raise_for_status().json()
            bindings = (await http.get("/api/bindings")).raise_for_status().json()
        named: int = sum(binding["source"] != "" for binding in bindings)
        return len(queues) + named
    admin = AIOKafkaAdminClient(bootstrap_servers=server.url)
    await admin.start()
    try:
        partitions: int = sum(len(topic["partitions"]) for topic in await admin.describe_topics())
        return partitions
    finally:
        await admin.close()


def processes(server: Server) -> int:
    """Count the processes that run in the server's folder: it and its helpers."""
    found = 0
    for link in Path("/proc").glob("[0-9]*/cwd"):
        try:
            found += link.resolve() == server.folder.resolve()
        except OSError:
            continue
    return found
