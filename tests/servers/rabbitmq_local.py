"""RabbitMQ of the system's package as a child process, with a node, a port mapper and files of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.servers.amqp_wire import server_properties, told_version
from tests.servers.child import ChildServer, free_ports, spawn
from tests.servers.interface import ServerAbsent

# The program that the package puts on the path changes to the user rabbitmq and to the system's folders.
_PROGRAM = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
_CONFIGURATION = """\
listeners.tcp.1 = 127.0.0.1:{port}
management.tcp.ip = 127.0.0.1
management.tcp.port = {management_port}
disk_free_limit.absolute = 50MB
raft.wal_max_size_bytes = 64000000
log.console = true
log.console.level = warning
log.file = false
"""


def debian_rabbitmq() -> Path:
    """Return the program of the system's package rabbitmq-server."""
    if not _PROGRAM.exists():
        raise ServerAbsent("rabbitmq-server is not installed (Debian: apt-get install rabbitmq-server)")
    return _PROGRAM


class LocalRabbitMQ(ChildServer):
    """What quorum queues confirmed survives `kill`: they sync their log first. Guest may do everything."""

    def __init__(self, program: Path) -> None:
        super().__init__()
        self._program = program
        self._port_mapper: subprocess.Popen[bytes] | None = None
        self._port_mapper_port = self._node_port = self._management_port = 0

    @property
    def url(self) -> str:
        """The address for clients."""
        return f"amqp://guest:guest@{self.host}:{self.port}/"

    @property
    def management_url(self) -> str:
        """The address of the HTTP API, which lists what the server holds."""
        return f"http://guest:guest@{self.host}:{self._management_port}"

    def prepare(self) -> None:
        self.port, self._management_port, self._node_port, self._port_mapper_port = free_ports(4)
        text = _CONFIGURATION.format(port=self.port, management_port=self._management_port)
        (self.folder / "rabbitmq.conf").write_text(text)
        (self.folder / "plugins").write_text("[rabbitmq_management].\n")

    def launch(self) -> None:
        # Erlang would start a port mapper that outlives the server and is everybody's.
        if self._port_mapper is None:
            epmd = shutil.which("epmd")
            assert epmd is not None
            command = [epmd, "-address", self.host, "-port", str(self._port_mapper_port)]
            self._port_mapper = spawn(command, self.environment(), self.folder, self.folder / "epmd.log")
        super().launch()

    def command(self) -> Sequence[str | Path]:
        return [self._program]

    def environment(self) -> Mapping[str, str]:
        folder = self.folder
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "RABBITMQ_NODENAME": "test@localhost",
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced"),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            "RABBITMQ_DIST_PORT": str(self._node_port),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                "-setcookie test -start_epmd false -kernel inet_dist_use_interface {127,0,0,1}"
            ),
            "ERL_EPMD_ADDRESS": self.host,
            "ERL_EPMD_PORT": str(self._port_mapper_port),
            "ERL_CRASH_DUMP": "/dev/null",
            # Lets the start script become the server, so that the child's id is the server's.
            "RUNNING_UNDER_SYSTEMD": "true",
        }

    def answers(self) -> bool:
        return server_properties(self.host, self.port) is not None

    def reported_version(self) -> str:
        return told_version(self.host, self.port)

    def kill(self) -> None:
        super().kill()
        if self._port_mapper is not None:
            self._port_mapper.kill()
            self._port_mapper.wait()
            self._port_mapper = None
