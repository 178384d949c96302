"""Apache Kafka as a child process: one node that is broker and controller."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.servers.child import ChildServer, free_ports
from tests.servers.kafka_node import CLUSTER_ID, one_node, tells_version, version_in
from tests.servers.kafka_wire import ask_api_versions

_LOGGING = Path(__file__).parent / "kafka" / "log4j2.properties"
_FORMAT_SECONDS = 60


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
        properties = one_node(
            listen=f"{self.host}:{self.port}",
            advertise=f"{self.host}:{self.port}",
            control=f"{self.host}:{controller_port}",
            folder=f"{self.folder}/data",
        )
        properties.update(self.more_properties(properties))
        self._properties.write_text("".join(f"{name}={value}\n" for name, value in properties.items()))
        if not (self.folder / "data").exists():
            self._format()

    def more_properties(self, properties: Mapping[str, str]) -> Mapping[str, str]:
        """Return what a subclass adds or replaces."""
        return {}

    def format_options(self) -> Sequence[str]:
        """Return what a subclass wants of the first start beside."""
        return []

    def _format(self) -> None:
        arguments = ["format", "-t", CLUSTER_ID, "-c", str(self._properties), *self.format_options()]
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
        # It may serve before it has written which version it is.
        return tells_version(self.output()) and ask_api_versions(self.host, self.port) is not None

    def reported_version(self) -> str:
        return version_in(self.output())
