"""Apache Kafka as a child process: one node that is broker and controller."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.servers.child import ChildServer, free_ports
from tests.servers.kafka_wire import ask_api_versions

_LOGGING = Path(__file__).parent / "kafka" / "log4j2.properties"
_CLUSTER_ID = "ZmFpci1kaXNwYXRjaGVyLQ"
_FORMAT_SECONDS = 60
# A restarted broker is taken back when the session of its former life has ended.
_CONFIGURATION = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={folder}/data
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
num.network.threads=2
num.io.threads=4
log.cleaner.dedupe.buffer.size=16777216
log.retention.check.interval.ms=2000
"""


class LocalKafka(ChildServer):
    """What it confirmed survives `kill`: pages once written are the system's. No topic is made by use."""

    def __init__(self, jars: Path, heap: str = "768m") -> None:
        super().__init__()
        self._jars = jars
        self._heap = heap

    @property
    def url(self) -> str:
        """The address for clients, as bootstrap server."""
        return f"{self.host}:{self.port}"

    def prepare(self) -> None:
        self.port, controller_port = free_ports(2)
        text = _CONFIGURATION.format(port=self.port, controller_port=controller_port, folder=self.folder)
        self._properties.write_text(text)
        if not (self.folder / "data").exists():
            self._format()

    def _format(self) -> None:
        arguments = ["format", "-t", _CLUSTER_ID, "-c", str(self._properties)]
        subprocess.run(
            [*self._java(), "kafka.tools.StorageTool", *arguments],
            env=dict(self.environment()),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_FORMAT_SECONDS,
            check=True,
        )

    def command(self) -> Sequence[str | Path]:
        return [*self._java(), "kafka.Kafka", self._properties]

    def _java(self) -> list[str | Path]:
        quick_start = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xms128m", f"-Xmx{self._heap}"]
        logging = f"-Dlog4j2.configurationFile={_LOGGING}"
        return ["java", *quick_start, logging, "-cp", f"{self._jars}/*"]

    @property
    def _properties(self) -> Path:
        return self.folder / "server.properties"

    def environment(self) -> Mapping[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder), "LANG": "C.UTF-8"}

    def answers(self) -> bool:
        return ask_api_versions(self.host, self.port) is not None

    def reported_version(self) -> str:
        # The protocol doesn't tell it; the server's log does.
        told = re.search(r"Kafka version: (\S+)", self.output())
        assert told is not None, self.output()
        return f"kafka {told[1]}"
