"""A nats-server of our own on this machine, with JetStream in files."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from e2e.cluster import toolchain
from e2e.cluster.ports import free_port, free_ports


class ServerDoesNotStart(Exception):  # noqa: N818  reads as what happened
    """The message says why, with the end of its log."""


class NatsServer:
    """A nats-server process on a free port of 127.0.0.1, with its files in `folder`.

    What it has acknowledged is in its files, so `kill` loses nothing that a client was told.
    """

    def __init__(
        self, folder: Path, *, name: str = "one", settings: str = "", jetstream: str = "", tls: bool = False
    ) -> None:
        """`settings`: more of its configuration; `jetstream`: of that of JetStream. `tls`: whether these encrypt."""
        self._folder = folder
        self._name = name
        self._settings = settings
        self._jetstream = jetstream
        self._tls = tls
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    @property
    def url(self) -> str:
        """Its address."""
        return f"{'tls' if self._tls else 'nats'}://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Of the process that runs."""
        assert self._process is not None, "the server is not running"
        return self._process.pid

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
            f'server_name: {self._name}\nlisten: "127.0.0.1:{self.port}"\n'
            f"jetstream {{ {jetstream} }}\n{self._settings}\n"
        )
        with (self._folder / "nats.log").open("ab") as log:
            # Ctrl-C is not for it: who started it may still ask it what became of the jobs.
            self._process = subprocess.Popen(
                [toolchain.path(toolchain.NATS_SERVER), "-c", configuration], stdout=log, stderr=log, process_group=0
            )

    def wait(self) -> None:
        """Until it answers."""
        deadline = time.monotonic() + 20
        while not self._answers():
            if self._process is None or self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                said = (self._folder / "nats.log").read_text(errors="replace")[-2000:]
                raise ServerDoesNotStart(f"nats-server does not start: {said}")
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as probe:
                return probe.recv(64).startswith(b"INFO")
        except OSError:
            return False

    def kill(self) -> None:
        """End it by SIGKILL: connections reset, nothing said goodbye."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in order."""
        self._end(signal.SIGTERM)

    def pause(self) -> None:
        """Accept connections and answer nothing, as a hung server does, until `resume`."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Undo `pause`."""
        os.kill(self.pid, signal.SIGCONT)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(timeout=20)
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=20)


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
