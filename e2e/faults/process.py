"""The operator as a process of its own, so that it can be killed at any moment and started again."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from e2e.cluster.pki import Authority
from e2e.cluster.ports import LOOPBACK, free_ports
from e2e.cluster.processes import Daemon
from e2e.faults.collector import Endpoint
from workerpool_operator.controller.config import EXTERNAL_METRICS_SERVICE, LEASE_NAME, STREAM_SERVICE
from workerpool_operator.kube import Kube, ObjectRef, errors, kinds

NAMESPACE = "workerpool-system"
_TWIN_ADDRESS = "127.0.0.2"


@dataclass(frozen=True, kw_only=True)
class OperatorProcess:
    """One operator; a new one may be started as soon as the old one is killed."""

    home: Path
    endpoint: Endpoint
    http_port: int
    tls: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    """Environment variables besides, or instead of, those that it gets anyway."""

    def twin(self, home: Path, *, settings: Mapping[str, str]) -> OperatorProcess:
        """Give another replica of the same installation: at an address of its own, with the same ports and certificate.

        With another port it would have other collectors: who leads says where they are to connect.
        """
        home.mkdir(parents=True, exist_ok=True)
        return replace(self, home=home, endpoint=replace(self.endpoint, address=_TWIN_ADDRESS), settings=settings)

    @classmethod
    def prepare(cls, home: Path, *, tls: Path, settings: Mapping[str, str] | None = None) -> OperatorProcess:
        """Choose its ports and make its certificate; nothing is started yet."""
        home.mkdir(parents=True, exist_ok=True)
        stream_port, http_port = free_ports(2, LOOPBACK, _TWIN_ADDRESS)
        name, metrics = (f"{service}.{NAMESPACE}.svc" for service in (STREAM_SERVICE, EXTERNAL_METRICS_SERVICE))
        authority = Authority(home=tls, name="ca")
        authority.issue("tls", common_name=name, hosts=[name, metrics, "127.0.0.1"])
        endpoint = Endpoint(port=stream_port, server_name=name, authority=str(authority.pair.cert))
        return cls(home=home, endpoint=endpoint, http_port=http_port, tls=tls, settings=settings or {})

    @property
    def kubeconfig(self) -> Path:
        """How it reaches the API server; whoever starts it writes this file first."""
        return self.home / "kubeconfig"

    @property
    def log(self) -> Path:
        """Where all its incarnations write."""
        return self._daemon().log

    def start(self) -> None:
        """Start it."""
        self._daemon().ensure()

    def stop(self) -> None:
        """Ask it to end, as at a rollout, and wait until it has."""
        self._daemon().stop()

    def kill(self) -> None:
        """End it as a power cut would, and wait until the kernel has let go of it."""
        self._daemon().stop(grace=0)

    def check(self) -> None:
        """Raise DaemonDiedError unless it runs."""
        self._daemon().check()

    def pid(self) -> int:
        """Of the process that runs. Raises DaemonDiedError."""
        return self._daemon().pid()

    def _daemon(self) -> Daemon:
        env = {
            "POD_NAME": "operator",
            "POD_NAMESPACE": NAMESPACE,
            "COLLECTOR_IMAGE": "workerpool-operator:f1",
            "TLS_DIR": str(self.tls),
            "BIND_ADDRESS": self.endpoint.address,
            "HTTP_PORT": str(self.http_port),
            "STREAM_PORT": str(self.endpoint.port),
            "KUBECONFIG": str(self.kubeconfig),
            **self.settings,
        }
        return Daemon(
            name="operator", argv=(sys.executable, "-m", "workerpool_operator"), home=self.home, grace=10, env=env
        )


async def release_lease(kube: Kube) -> None:
    """Let the next operator lead at once: it would wait 15 s for the dead one's lease to run out."""
    ref = ObjectRef(kinds.LEASE, NAMESPACE, LEASE_NAME)
    try:
        await kube.merge_patch(ref, {"spec": {"holderIdentity": ""}})
    except errors.NotFound:
        return  # it was killed before it ever led
