"""How a Kafka of one node is set up for tests, wherever it runs."""

from __future__ import annotations

import re

CLUSTER_ID = "ZmFpci1kaXNwYXRjaGVyLQ"
_ALWAYS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    # A restarted broker is taken back when the session of its former life has ended.
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "500",
    "auto.create.topics.enable": "false",
    "group.initial.rebalance.delay.ms": "0",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "num.network.threads": "2",
    "num.io.threads": "4",
    "log.cleaner.dedupe.buffer.size": "16777216",
    "log.retention.check.interval.ms": "2000",
}


def one_node(*, listen: str, advertise: str, control: str, folder: str) -> dict[str, str]:
    """Return the properties of a node that is broker and controller; addresses are host:port.

    listen: of the broker; an empty host is all. advertise: what clients are told of it. control: of the
    controller. folder: for the data.
    """
    return {
        **_ALWAYS,
        "listeners": f"PLAINTEXT://{listen},CONTROLLER://{control}",
        "advertised.listeners": f"PLAINTEXT://{advertise}",
        "controller.quorum.voters": f"1@{control}",
        "log.dirs": folder,
    }


_VERSION = re.compile(r"Kafka version: (\S+)")


def tells_version(log: str) -> bool:
    """Tell whether a broker has written its version yet."""
    return _VERSION.search(log) is not None


def version_in(log: str) -> str:
    """Return the version that a broker has written to its log; the protocol doesn't tell it."""
    told = _VERSION.search(log)
    assert told is not None, log
    return f"kafka {told[1]}"
