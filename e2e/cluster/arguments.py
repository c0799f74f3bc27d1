"""The command lines of the control plane's programs: pure functions of where things are.

Everything that is not said here stays at the program's default (the HPA's 15 s period, the 40 s and more that a
lost node takes), because the tests are to see what users see. A test that needs something else asks for it by
`Extra`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SERVICE_RANGE = "10.96.0.0/16"
API_SERVICE_IP = "10.96.0.1"
ISSUER = "https://kubernetes.default.svc.cluster.local"


@dataclass(frozen=True, kw_only=True)
class Extra:
    """What a test may ask for beyond the defaults.

    The ``*_args`` are appended to the program's command line as they are, so they win over what stands there.
    """

    etcd_args: tuple[str, ...] = ()
    """Not on kind."""
    apiserver_args: tuple[str, ...] = ()
    controller_manager_args: tuple[str, ...] = ()
    scheduler_args: tuple[str, ...] = ()
    feature_gates: Mapping[str, bool] = field(default_factory=dict)
    """Set on the API server and the controller manager."""
    audit: bool = False
    """Write an audit log of all requests (level Metadata; for WorkerPools and Leases with their bodies)."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables of the programs of a control plane, and of the KWOK beside it. Not on kind."""

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Extra:
        """Take it up again from its JSON form, in which tuples are lists."""
        return cls(
            etcd_args=tuple(stored.get("etcd_args", ())),
            apiserver_args=tuple(stored["apiserver_args"]),
            controller_manager_args=tuple(stored["controller_manager_args"]),
            scheduler_args=tuple(stored["scheduler_args"]),
            feature_gates=stored["feature_gates"],
            audit=stored["audit"],
            environment=stored.get("environment", {}),
        )


@dataclass(frozen=True, kw_only=True)
class Ports:
    """The TCP ports of one control plane."""

    apiserver: int
    etcd: int
    etcd_peer: int
    controller_manager: int
    scheduler: int


@dataclass(frozen=True, kw_only=True)
class Site:
    """Where one control plane lives."""

    home: Path
    address: str
    """The API server's only address: loopback, or a bridge's where pods have to reach it."""
    ports: Ports
    extra: Extra

    @property
    def pki(self) -> Path:
        """Give the folder of certificates and keys."""
        return self.home / "pki"

    @property
    def url(self) -> str:
        """Give the API server's address as clients write it."""
        return f"https://{self.address}:{self.ports.apiserver}"

    @property
    def audit_log(self) -> Path:
        """Give the audit log's path, written only where `Extra.audit` asks for it."""
        return self.home / "audit.log"

    @property
    def audit_policy(self) -> Path:
        """Give the audit policy's path."""
        return self.home / "audit-policy.yaml"

    @property
    def loopback(self) -> bool:
        """Tell whether nothing but this machine can reach it (then there are no pods either)."""
        return self.address == "127.0.0.1"


def etcd(site: Site, *, program: Path) -> tuple[str, ...]:
    """Give etcd's command line; without fsync, since nothing here has to outlive the machine."""
    client = f"http://127.0.0.1:{site.ports.etcd}"
    peer = f"http://127.0.0.1:{site.ports.etcd_peer}"
    return (
        str(program),
        f"--data-dir={site.home / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",
        "--log-level=warn",
        *site.extra.etcd_args,
    )


def apiserver(site: Site, *, program: Path) -> tuple[str, ...]:
    """Give the API server's command line."""
    return (
        str(program),
        f"--etcd-servers=http://127.0.0.1:{site.ports.etcd}",
        f"--bind-address={site.address}",
        f"--secure-port={site.ports.apiserver}",
        *_reach(site),
        *_identity(site.pki),
        *_front_proxy(site.pki),
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--enable-aggregator-routing",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        "--allow-privileged",
        *_audit(site),
        *_gates(site.extra),
        *site.extra.apiserver_args,
    )


def controller_manager(site: Site, *, program: Path) -> tuple[str, ...]:
    """Give the controller manager's command line."""
    return (
        str(program),
        *_component(site, name="controller-manager", port=site.ports.controller_manager),
        "--use-service-account-credentials",
        f"--root-ca-file={site.pki / 'ca.crt'}",
        f"--service-account-private-key-file={site.pki / 'service-account.key'}",
        f"--cluster-signing-cert-file={site.pki / 'ca.crt'}",
        f"--cluster-signing-key-file={site.pki / 'ca.key'}",
        f"--flex-volume-plugin-dir={site.home / 'volume-plugins'}",
        *_gates(site.extra),
        *site.extra.controller_manager_args,
    )


def scheduler(site: Site, *, program: Path) -> tuple[str, ...]:
    """Give the scheduler's command line."""
    return (
        str(program),
        *_component(site, name="scheduler", port=site.ports.scheduler),
        *site.extra.scheduler_args,
    )


def audit_policy() -> Mapping[str, object]:
    """Give the audit policy: who wrote what when, once per request, when it is answered."""
    ours = [{"group": "workerpool.dev"}, {"group": "coordination.k8s.io", "resources": ["leases"]}]
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived", "ResponseStarted"],
        "rules": [
            {"level": "Request", "verbs": ["create", "update", "patch", "delete"], "resources": ours},
            {"level": "Metadata"},
        ],
    }


def _reach(site: Site) -> tuple[str, ...]:
    """On loopback there is no pod to publish the Service ``kubernetes`` for, and its address is no endpoint."""
    if site.loopback:
        return ("--endpoint-reconciler-type=none",)
    return (f"--advertise-address={site.address}", "--kubelet-preferred-address-types=InternalIP")


def _identity(pki: Path) -> tuple[str, ...]:
    return (
        f"--tls-cert-file={pki / 'apiserver.crt'}",
        f"--tls-private-key-file={pki / 'apiserver.key'}",
        f"--client-ca-file={pki / 'ca.crt'}",
        f"--kubelet-certificate-authority={pki / 'ca.crt'}",
        f"--kubelet-client-certificate={pki / 'apiserver-kubelet.crt'}",
        f"--kubelet-client-key={pki / 'apiserver-kubelet.key'}",
        f"--service-account-issuer={ISSUER}",
        f"--service-account-key-file={pki / 'service-account.pub'}",
        f"--service-account-signing-key-file={pki / 'service-account.key'}",
    )


def _front_proxy(pki: Path) -> tuple[str, ...]:
    """Aggregated APIs (external metrics) trust the API server by these."""
    return (
        f"--requestheader-client-ca-file={pki / 'front-proxy-ca.crt'}",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={pki / 'front-proxy-client.crt'}",
        f"--proxy-client-key-file={pki / 'front-proxy-client.key'}",
    )


def _component(site: Site, *, name: str, port: int) -> tuple[str, ...]:
    kubeconfig = site.home / f"{name}.kubeconfig"
    return (
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        "--leader-elect=false",
    )


def _audit(site: Site) -> tuple[str, ...]:
    if not site.extra.audit:
        return ()
    return (f"--audit-policy-file={site.audit_policy}", f"--audit-log-path={site.audit_log}")


def _gates(extra: Extra) -> tuple[str, ...]:
    if not extra.feature_gates:
        return ()
    gates = ",".join(f"{name}={str(on).lower()}" for name, on in sorted(extra.feature_gates.items()))
    return (f"--feature-gates={gates}",)
