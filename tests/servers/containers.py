"""Servers as containers, with ports and data that outlive a restart."""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tests.servers import reaper
from tests.servers.amqp_wire import server_properties, told_version
from tests.servers.child import free_ports
from tests.servers.kafka_node import CLUSTER_ID, one_node, version_in
from tests.servers.kafka_wire import ask_api_versions
from tests.servers.redis_local import persistent
from tests.servers.redis_wire import ask, reported_version

if TYPE_CHECKING:
    from docker.models.containers import Container
    from testcontainers.core.container import DockerContainer

_START_SECONDS = 60.0
_START_ATTEMPTS = 3
_LOOPBACK = "127.0.0.1"


class ContainerServer(ABC):
    """A container that is removed when the tests end, however they do.

    exposed: ports inside the container; the first one is for clients.
    """

    restartable = True
    exposed: Sequence[int]

    def __init__(self, image: str) -> None:
        self.image = image
        self.host = _LOOPBACK
        self.ports: list[int] = []
        self.version = ""
        self._container: DockerContainer | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """The address for clients."""

    @abstractmethod
    def command(self) -> Sequence[str] | None:
        """Return what to run instead of the image's own command, if anything."""

    @abstractmethod
    def environment(self) -> Mapping[str, str]:
        """Return the variables for the server."""

    @abstractmethod
    def answers(self) -> bool:
        """Tell whether it serves requests now."""

    @abstractmethod
    def reported_version(self) -> str:
        """Return name and version as the running server tells them."""

    @property
    def port(self) -> int:
        return self.ports[0]

    def start(self) -> None:
        """Start on free ports; RuntimeError with its last output if it doesn't serve in time."""
        from docker.errors import APIError

        for attempt in range(_START_ATTEMPTS):
            self.ports = free_ports(len(self.exposed))
            self._container = self._configured()
            try:
                self._container.start()
                break
            except APIError:
                # One of the ports may have been taken meanwhile.
                self.stop()
                if attempt == _START_ATTEMPTS - 1:
                    raise
        end = time.monotonic() + _START_SECONDS
        while not self.answers():
            if time.monotonic() > end:
                raise RuntimeError(f"{self.image} does not answer:\n{self.output()[-3000:]}")
            time.sleep(0.02)
        self.version = self.reported_version()

    def _configured(self) -> DockerContainer:
        from testcontainers.core.config import testcontainers_config
        from testcontainers.core.container import DockerContainer
        from testcontainers.core.docker_client import DockerClient
        from testcontainers.core.labels import SESSION_ID

        # The reaper is ours, and needs no image. Names of images are complete already.
        testcontainers_config.ryuk_disabled = True
        testcontainers_config.hub_image_name_prefix = ""
        reaper.watch(SESSION_ID)
        if not os.environ["DOCKER_HOST"].startswith("unix://"):
            self.host = DockerClient().host()
        container = DockerContainer(self.image)
        for inside, outside in zip(self.exposed, self.ports, strict=True):
            # Its own method would publish them to the network.
            published = (_LOOPBACK if self.host == _LOOPBACK else "0.0.0.0", outside)
            container.ports[f"{inside}/tcp"] = published  # type: ignore[assignment]
        for name, value in self.environment().items():
            container.with_env(name, value)
        command = self.command()
        return container if command is None else container.with_command(list(command))

    def output(self) -> str:
        """Return what it has printed so far."""
        assert self._container is not None
        printed, complained = self._container.get_logs()
        return (printed + complained).decode(errors="replace")

    def kill(self) -> None:
        container = self._wrapped()
        container.kill()
        container.wait(timeout=_START_SECONDS)

    def launch(self) -> None:
        self._wrapped().start()

    def suspend(self) -> None:
        """Let it do nothing, as a machine that hangs does."""
        self._wrapped().pause()

    def resume(self) -> None:
        """Let it go on."""
        self._wrapped().unpause()

    def stop(self) -> None:
        if self._container is not None:
            self._container.stop()
            self._container = None

    def _wrapped(self) -> Container:
        assert self._container is not None
        return self._container.get_wrapped_container()


class RedisContainer(ContainerServer):
    """Redis or Valkey; what it confirmed survives `kill`."""

    exposed = (6379,)

    @property
    def url(self) -> str:
        return f"redis://{self.host}:{self.port}/0"

    def command(self) -> Sequence[str]:
        program = "valkey-server" if "valkey" in self.image else "redis-server"
        return [program, *persistent("always"), "--bind", "0.0.0.0", "--protected-mode", "no"]

    def environment(self) -> Mapping[str, str]:
        return {}

    def answers(self) -> bool:
        return ask(self.host, self.port, "PING") == "+PONG"

    def reported_version(self) -> str:
        return reported_version(self.host, self.port)


class RabbitMQContainer(ContainerServer):
    """RabbitMQ with its management API; guest may do everything."""

    exposed = (5672, 15672)

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@{self.host}:{self.port}/"

    @property
    def management_url(self) -> str:
        """The address of the HTTP API, which lists what the server holds."""
        return f"http://guest:guest@{self.host}:{self.ports[1]}"

    def command(self) -> None:
        return None

    def environment(self) -> Mapping[str, str]:
        return {}

    def answers(self) -> bool:
        return server_properties(self.host, self.port) is not None

    def reported_version(self) -> str:
        return told_version(self.host, self.port)


class KafkaContainer(ContainerServer):
    """One node that is broker and controller."""

    exposed = (9092,)

    @property
    def url(self) -> str:
        return f"{self.host}:{self.port}"

    def command(self) -> None:
        return None

    def environment(self) -> Mapping[str, str]:
        # Both kinds of images turn these into properties.
        properties = one_node(
            listen=":9092",
            advertise=f"{self.host}:{self.port}",
            control="localhost:9093",
            folder="/tmp/kafka-data",
        )
        variables = {f"KAFKA_{name.upper().replace('.', '_')}": value for name, value in properties.items()}
        return {**variables, "CLUSTER_ID": CLUSTER_ID, "KAFKA_HEAP_OPTS": "-Xmx768m -XX:TieredStopAtLevel=1"}

    def answers(self) -> bool:
        return ask_api_versions(self.host, self.port) is not None

    def reported_version(self) -> str:
        return version_in(self.output())
