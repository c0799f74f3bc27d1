"""A Kubernetes control plane without nodes: etcd, API server, controller manager, and a scheduler if asked for.

It needs no root, binds loopback on free ports and keeps all its files in one folder, so several may run beside
each other and beside a whole cluster. It answers some 4 s after the start (once the programs are built).

    >>> with ControlPlane(name="my-tests") as plane:
    ...     subprocess.run([plane.kubectl, "--kubeconfig", plane.kubeconfig, "get", "ns"])

As a pytest fixture (session scope, since a fresh one costs seconds; give each test a namespace of its own)::

    @pytest.fixture(scope="session")
    def plane(tmp_path_factory):
        with ControlPlane(name="component", data_dir=tmp_path_factory.mktemp("plane")) as plane:
            yield plane

Pods are accepted and stay Pending; `e2e.cluster.kwok` has them run on fake nodes. Leaving the context ends the
processes and removes the folder. Had the test run itself been killed, the next control
plane that is started by anyone ends what was left (`end_orphans`).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Self

import yaml

from e2e.cluster import arguments, kubeconfig, paths, pki, processes, toolchain
from e2e.cluster.api import Api, wait_until
from e2e.cluster.arguments import Extra, Ports, Site
from e2e.cluster.base import ClusterError
from e2e.cluster.ports import LOOPBACK, free_ports
from e2e.cluster.processes import Daemon, DaemonDiedError, Record

_ATTEMPTS = 3
_READY_SECONDS = 60.0


class ControlPlane:
    """One control plane; see the module's text for its use.

    Args:
        name: of its folder under the state root; two that run at once need two names.
        data_dir: its folder, where another than the default is wanted.
        address: what the API server listens on.
        port: the API server's port; a free one by default.
        controller_manager: whether garbage collection, ReplicaSets, HPAs and so on are at work.
        scheduler: whether pods get bound to nodes.
        extra: flags, feature gates, audit log.
        join: ``cgroup.procs`` files that its processes join (whole clusters only).

    Raises:
        DaemonDiedError: a program ended at once; the message ends with its log.
        TimeoutError: the API server did not become ready.
        ClusterError: another live process has entered a control plane of that name.
    """

    def __init__(
        self,
        *,
        name: str = "controlplane",
        data_dir: Path | None = None,
        address: str = "127.0.0.1",
        port: int | None = None,
        controller_manager: bool = True,
        scheduler: bool = False,
        extra: Extra | None = None,
        join: tuple[Path, ...] = (),
    ) -> None:
        self.name = name
        self.home = data_dir or paths.state_of(name)
        self.extra = extra or Extra()
        self._address = address
        self._port = port
        self._with = {"kube-controller-manager": controller_manager, "kube-scheduler": scheduler}
        self._join = join

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig (group ``system:masters``)."""
        return self.home / "kubeconfig"

    @property
    def kubectl(self) -> Path:
        """A kubectl of the server's version."""
        return toolchain.node_program("kubectl")

    @property
    def url(self) -> str:
        """The API server's address."""
        return self._site().url

    @property
    def audit_log(self) -> Path:
        """The audit log: one JSON event a line; written where ``extra.audit`` is set."""
        return self._site().audit_log

    @property
    def authority(self) -> pki.Authority:
        """The certificate authority; a test may have it issue certificates for users of its own."""
        return pki.Authority(home=self.home / "pki", name="ca")

    def write_kubeconfig(self, path: Path, *, user: str, groups: Iterable[str] = ()) -> None:
        """Write a kubeconfig for a user of any name and groups, with a certificate made for it."""
        client = self.authority.issue(user.replace(":", "-"), common_name=user, organizations=groups)
        kubeconfig.write(path, server=self.url, authority=self.authority.pair.cert, client=client)

    def start(self) -> None:
        """Start what does not run, or runs with other flags, and wait until the API server is ready."""
        toolchain.ensure(toolchain.NODE)
        self.home.mkdir(parents=True, exist_ok=True)
        for attempt in range(_ATTEMPTS):
            try:
                self._start()
            except DaemonDiedError:
                # Someone else may have taken a port between our choice and its use.
                if attempt == _ATTEMPTS - 1:
                    raise
                self.halt()
                self._site_file.unlink(missing_ok=True)
            else:
                return

    def halt(self) -> None:
        """End all of its processes; its data stays, and `start` goes on from there."""
        for daemon in reversed(self.daemons()):
            daemon.stop()
        processes.end_recorded(self.home)

    def remove(self) -> None:
        """End all of its processes and remove its folder."""
        self.halt()
        shutil.rmtree(self.home, ignore_errors=True)
        _register_of(self.home).unlink(missing_ok=True)

    def stop_apiserver(self) -> None:
        """Take the API server away as an outage would: connections break, then are refused."""
        self._daemon("kube-apiserver").stop(grace=0)

    def start_apiserver(self) -> None:
        """Bring the API server back, and wait until it is ready."""
        self._daemon("kube-apiserver").ensure()
        self.wait_ready()

    @property
    def api(self) -> Api:
        """A minimal client with the administrator's rights."""
        admin = self.authority.issue("admin", common_name="admin", organizations=["system:masters"])
        return Api(url=self.url, authority=self.authority.pair.cert, client=admin)

    def wait_ready(self, *, seconds: float = _READY_SECONDS) -> None:
        """Wait until the API server says that it is ready."""
        server, api = self._daemon("kube-apiserver"), self.api

        def ready() -> bool:
            server.check()
            return api.ready()

        wait_until(ready, seconds=seconds, what=f"API server ready (its log is {server.log})")

    def daemons(self) -> list[Daemon]:
        """Give its daemons in the order of their start."""
        names = ["etcd", "kube-apiserver", *(name for name, wanted in self._with.items() if wanted)]
        return [self._daemon(name) for name in names] if self._site_file.exists() else []

    def __enter__(self) -> Self:
        end_orphans()
        owner = Record.read(_register_of(self.home))
        if owner and owner.pid != os.getpid():
            raise ClusterError(f"process {owner.pid} uses {self.home}; give this control plane another name")
        self.remove()
        _register(self.home)
        try:
            self.start()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()

    @property
    def _site_file(self) -> Path:
        return self.home / "ports.json"

    def _start(self) -> None:
        site = self._site()
        self._prepare(site)
        store, server, *clients = self.daemons()
        store.ensure()
        server.ensure()
        self.wait_ready()
        # Only now: the clients give up at once on an API server whose own roles are not there yet.
        for client in clients:
            client.ensure()
        if self._with["kube-controller-manager"]:
            self._wait_usable()
        for daemon in (store, *clients):
            daemon.check()

    def _wait_usable(self) -> None:
        """Pods are refused until the first service account is there."""
        api, path = self.api, "/api/v1/namespaces/default/serviceaccounts/default"
        wait_until(lambda: bool(api.get(path)), seconds=_READY_SECONDS, what="service account default")

    def _site(self) -> Site:
        """Choose the ports once; a control plane that is started again keeps them."""
        if self._site_file.exists():
            ports = Ports(**json.loads(self._site_file.read_text()))
        else:
            ports = _free_ports(self._address, self._port)
            self.home.mkdir(parents=True, exist_ok=True)
            self._site_file.write_text(json.dumps(asdict(ports)))
        return Site(home=self.home, address=self._address, ports=ports, extra=self.extra)

    def _prepare(self, site: Site) -> None:
        prepare_pki(self.authority, address=site.address)
        self.write_kubeconfig(self.kubeconfig, user="admin", groups=["system:masters"])
        for component in ("controller-manager", "scheduler"):
            self.write_kubeconfig(self.home / f"{component}.kubeconfig", user=f"system:kube-{component}")
        site.audit_policy.write_text(yaml.safe_dump(arguments.audit_policy()))

    def _daemon(self, name: str) -> Daemon:
        render = {
            "etcd": arguments.etcd,
            "kube-apiserver": arguments.apiserver,
            "kube-controller-manager": arguments.controller_manager,
            "kube-scheduler": arguments.scheduler,
        }[name]
        argv = render(self._site(), program=toolchain.node_program(name))
        return Daemon(name=name, argv=argv, home=self.home, env=self.extra.environment, join=self._join)


def end_orphans() -> None:
    """End the control planes whose test run is no more, and remove their folders."""
    for path in _register_of(Path()).parent.glob("*.json"):
        owner = Record.read(path)
        if owner and not owner.alive():
            home = Path(owner.argv[0])
            processes.end_recorded(home)
            shutil.rmtree(home, ignore_errors=True)
            path.unlink(missing_ok=True)


def _register(home: Path) -> None:
    """Note that this very process answers for the control plane in ``home``."""
    path = _register_of(home)
    path.parent.mkdir(parents=True, exist_ok=True)
    Record.of(os.getpid(), argv=(str(home),)).write(path)


def _register_of(home: Path) -> Path:
    key = hashlib.sha256(str(home.absolute()).encode()).hexdigest()[:16]
    return paths.state_root() / "owners" / f"{key}.json"


def prepare_pki(authority: pki.Authority, *, address: str) -> None:
    """Make every certificate that the control plane's own programs need."""
    hosts = (
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "127.0.0.1",
        arguments.API_SERVICE_IP,
        address,
    )
    authority.issue("apiserver", common_name="kube-apiserver", hosts=dict.fromkeys(hosts))
    authority.issue("apiserver-kubelet", common_name="kube-apiserver", organizations=["system:masters"])
    front = pki.Authority(home=authority.home, name="front-proxy-ca")
    front.issue("front-proxy-client", common_name="front-proxy-client")
    pki.signing_key(authority.home, "service-account")


def _free_ports(address: str, apiserver: int | None) -> Ports:
    given, etcd, etcd_peer, controller_manager, scheduler = free_ports(5, LOOPBACK, address)
    return Ports(
        apiserver=apiserver or given,
        etcd=etcd,
        etcd_peer=etcd_peer,
        controller_manager=controller_manager,
        scheduler=scheduler,
    )
