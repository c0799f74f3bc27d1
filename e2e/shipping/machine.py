"""The same shipper and the same Loki as processes of this machine, with files as a kubelet leaves them: no cluster.

What is asked of them is what pods do to files; what pods do at all is asked on a cluster.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import yaml

from e2e.cluster import toolchain
from e2e.cluster.ports import free_ports
from e2e.shipping.files import LOKI, SHIPPER, settings
from e2e.shipping.loki import Loki, answers
from e2e.support.wait import wait_for

_READY_SECONDS: Final = 90.0


@dataclass(kw_only=True)
class Machine:
    """One node."""

    home: Path
    loki_port: int
    grpc_port: int
    figures_port: int
    """Of the shipper's own metrics."""
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def loki(self) -> Loki:
        """What has the lines."""
        return Loki(url=f"http://127.0.0.1:{self.loki_port}")

    def start(self, *names: str) -> None:
        """Start one or both by their names, and wait until Loki answers."""
        for name in names:
            with (self.home / f"{name}.log").open("ab") as log:
                self._running[name] = subprocess.Popen(
                    self._command(name), env={**os.environ, "NODE_NAME": "node-1"}, stdout=log, stderr=log
                )
        if LOKI in names:
            wait_for(self._ready, seconds=_READY_SECONDS, what="Loki ready", pause=0.5)

    def stop(self, *names: str) -> None:
        """Stop it in order."""
        for name in tuple(names):
            process = self._running.pop(name)
            process.terminate()
            process.wait(timeout=30)

    def stop_all(self) -> None:
        """Stop what runs."""
        self.stop(*self._running)

    def taken(self) -> int:
        """Give how many lines the shipper has taken in since it started."""
        address = f"http://127.0.0.1:{self.figures_port}/metrics"
        with urllib.request.urlopen(address, timeout=5) as answer:
            text = answer.read().decode()
        found = re.findall(r"^otelcol_receiver_accepted_log_records\w*{.*} (\S+)$", text, flags=re.MULTILINE)
        return round(sum(map(float, found)))

    def pod(self, name: str, *, namespace: str = "media", container: str = "worker") -> Path:
        """Give the log of a pod that starts."""
        folder = self.home / "pods" / f"{namespace}_{name}_0a1b2c3d-0000" / container
        folder.mkdir(parents=True)
        return folder / "0.log"

    def end(self, log: Path) -> None:
        """Take a pod's files away, as its kubelet does once it has gone."""
        shutil.rmtree(log.parents[1])

    def said(self) -> str:
        """What the programs have written, for who looks for the cause of a failure."""
        return "\n".join(f"{path.name}:\n{path.read_text()[-3000:]}" for path in sorted(self.home.glob("*.log")))

    def _command(self, name: str) -> list[str]:
        config = self.home / f"{name}.yaml"
        if name == LOKI:
            told = settings(LOKI, {"/loki": f"{self.home}/loki"})
            told["server"] |= {
                "http_listen_address": "127.0.0.1",
                "http_listen_port": self.loki_port,
                "grpc_listen_address": "127.0.0.1",
                "grpc_listen_port": self.grpc_port,
            }
            command = [str(toolchain.path(toolchain.LOKI)), f"-config.file={config}"]
        else:
            folders = {"/var/log/pods": f"{self.home}/pods", "/var/lib/log-shipper": f"{self.home}/state"}
            told = settings(SHIPPER, {**folders, "http://loki.loki.svc:3100": self.loki.url})
            figures = {"host": "127.0.0.1", "port": self.figures_port}
            readers = [{"pull": {"exporter": {"prometheus": figures}}}]
            told["service"]["telemetry"] = {"metrics": {"readers": readers}}
            (self.home / "state").mkdir(exist_ok=True)
            command = [str(toolchain.path(toolchain.OTELCOL)), f"--config={config}"]
        config.write_text(yaml.safe_dump(told, sort_keys=False))
        return command

    def _ready(self) -> bool:
        try:
            return answers(self.loki_port)
        except OSError:
            return False


@contextlib.contextmanager
def machine(home: Path) -> Iterator[Machine]:
    """Give a node whose lines are shipped, for as long as the context lasts. Takes minutes the first time."""
    toolchain.ensure(toolchain.LOKI, toolchain.OTELCOL)
    http, grpc, figures = free_ports(3)
    found = Machine(home=home, loki_port=http, grpc_port=grpc, figures_port=figures)
    try:
        found.start(SHIPPER, LOKI)
        yield found
    finally:
        found.stop_all()


def line(text: str) -> str:
    """Give a line of a container as containerd writes it to the file."""
    now = time.time_ns()
    stamp = datetime.fromtimestamp(now // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{stamp}.{now % 10**9:09d}Z stdout F {text}\n"
