"""A nats-server of our own on this machine, with JetStream in files."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path

from e2e.cluster import toolchain
from e2e.cluster.ports import free_port, free_ports
from e2e.support.own_server import OwnServer


class NatsServer(OwnServer):
    """A nats-server process on a free port of this machine, with its files in `folder`.

    What it has acknowledged is in its files, so `kill` loses nothing that a client was told.
    """

    def __init__(
        self,
        folder: Path,
        *,
        name: str = "one",
        settings: str = "",
        jetstream: str = "",
        tls: bool = False,
        host: str = "127.0.0.1",
    ) -> None:
        """`settings`: more of its configuration; `jetstream`: of that of JetStream. `tls`: whether these encrypt."""
        super().__init__(folder)
        self._host = host
        self._name = name
        self._settings = settings
        self._jetstream = jetstream
        self._tls = tls
        self.port = free_port()

    @property
    def url(self) -> str:
        """Its address."""
        return f"{'tls' if self._tls else 'nats'}://{self._host}:{self.port}"

    def start(self) -> None:
        """Start (again, on the same port and files) and wait until it answers."""
        self.launch()
        self.wait()

    def launch(self) -> None:
        """Start the process."""
        toolchain.ensure(toolchain.NATS_SERVER)
        self._folder.mkdir(parents=True, exist_ok=True)
        configuration = self._folder / "nats.conf"
        jetstream = f'store_dir: "{self._folder}/js", max_file: 4GB, max_mem: 256MB, {self._jetstream}'
        configuration.write_text(
            f'server_name: {self._name}\nlisten: "{self._host}:{self.port}"\n'
            f"jetstream {{ {jetstream} }}\n{self._settings}\n"
        )
        self._launch([toolchain.path(toolchain.NATS_SERVER), "-c", configuration])

    def wait(self) -> None:
        """Until it answers."""
        self._wait("nats-server", seconds=20)

    def _answers(self) -> bool:
        try:
            with socket.create_connection((self._host, self.port), timeout=1) as probe:
                return probe.recv(64).startswith(b"INFO")
        except OSError:
            return False


def cluster_of(folder: Path, *, servers: int = 3) -> Sequence[NatsServer]:
    """Servers that form one cluster once all of them are launched; nothing is started."""
    routes = free_ports(servers)
    all_routes = ", ".join(f'"nats://127.0.0.1:{port}"' for port in routes)
    return [
        NatsServer(
            folder / f"n{number}",
            name=f"n{number}",
            settings=f'cluster {{ name: test, listen: "127.0.0.1:{port}", routes: [{all_routes}] }}',
        )
        for number, port in enumerate(routes)
    ]
