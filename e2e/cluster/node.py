"""One real node: its own containerd and its own kubelet, with pods in its own control groups and network.

Several live on one machine, and each can be lost as a machine is: `Node.kill` ends the kubelet, containerd and
every container at the same instant and drops what a reboot would drop (mounts, sockets, handed-out addresses),
while images and the kubelet's folder stay; `Node.start` then is the machine coming back.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import yaml

from e2e.cluster import kubeconfig, mounts, nodeconfig, pauseimage, pki, processes, toolchain
from e2e.cluster.api import wait_until
from e2e.cluster.cgroups import Group
from e2e.cluster.nodeconfig import NodeSite
from e2e.cluster.processes import Daemon
from e2e.cluster.store import Store

_CNI_RESULTS = Path("/var/lib/cni/results")
_SHIM_SOCKETS = Path("/run/containerd/s")
_LOG_LINKS = Path("/var/log/containers")


@dataclass(frozen=True, kw_only=True)
class Node:
    """One node; ``authority`` signs its certificates, ``server`` is the API server's address."""

    site: NodeSite
    authority: pki.Authority
    server: str

    @property
    def name(self) -> str:
        """The node's name in Kubernetes."""
        return self.site.name

    @property
    def group(self) -> Group:
        """The control group of all of its processes."""
        return Group(path=self.site.cgroup)

    @property
    def store(self) -> Store:
        """The images that it holds."""
        return Store(site=self.site)

    @property
    def running(self) -> bool:
        """Tell whether both of its programs run."""
        return all(daemon.record() for daemon in (self._containerd(), self._kubelet()))

    def prepare(self) -> None:
        """Write its files and start containerd, without waiting: the control plane may start meanwhile."""
        if not self._containerd().record() and not self._kubelet().record():
            self.kill()  # what survived a crash would be in the way: mounts, containers without a keeper
        self.group.create()
        self._write_files()
        self._containerd().ensure()

    def start(self) -> None:
        """Start what does not run; `prepare` comes first, and the API server must answer."""
        self._wait_containerd()
        identity = pauseimage.identity()
        if not self.store.has(nodeconfig.PAUSE_IMAGE, identity=identity):
            self.store.add(pauseimage.archive(), reference=nodeconfig.PAUSE_IMAGE, identity=identity)
        self._kubelet().ensure()

    def kill(self) -> None:
        """Lose the node at one blow, as a power cut does."""
        deadline = time.monotonic() + 20
        while (left := self.group.processes()) and time.monotonic() < deadline:
            processes.kill_and_wait(sorted(left))
        for daemon in (self._kubelet(), self._containerd()):
            daemon.stop(grace=0)
        self._drop_volatile()

    def remove(self) -> None:
        """Kill it and remove all that it has on the host, but for the images in its store."""
        self.kill()
        self._tidy_store()
        self._remove_host_files()
        mounts.detach(self.site.home)
        shutil.rmtree(self.site.home, ignore_errors=True)
        self.group.remove()

    def _write_files(self) -> None:
        site = self.site
        for folder in (site.runtime, site.addresses, site.kubelet_root, site.store, site.home / "cni"):
            folder.mkdir(parents=True, exist_ok=True)
        client = self.authority.issue(
            site.name,
            common_name=f"system:node:{site.name}",
            organizations=["system:nodes"],
            hosts=[site.name, site.subnet.gateway],
        )
        trust = self.authority.pair.cert
        kubeconfig.write(site.home / "kubeconfig", server=self.server, authority=trust, client=client)
        (site.home / "containerd.toml").write_text(nodeconfig.containerd(site))
        (site.home / "kubelet.yaml").write_text(yaml.safe_dump(dict(nodeconfig.kubelet(site))))
        (site.home / "cni" / "10-bridge.conflist").write_text(json.dumps(nodeconfig.cni(site)))

    def _containerd(self, *, config: str = "containerd.toml") -> Daemon:
        program = shutil.which("containerd") or "/usr/bin/containerd"
        argv = (program, "--config", str(self.site.home / config))
        return Daemon(name="containerd", argv=argv, home=self.site.home, join=self.group.join)

    def _kubelet(self) -> Daemon:
        site = self.site
        argv = (
            str(toolchain.node_program("kubelet")),
            f"--config={site.home / 'kubelet.yaml'}",
            f"--kubeconfig={site.home / 'kubeconfig'}",
            f"--root-dir={site.kubelet_root}",
            f"--hostname-override={site.name}",
            f"--node-ip={site.subnet.gateway}",
            f"--node-labels=topology.kubernetes.io/zone=zone-{site.subnet.index + 1}",
        )
        return Daemon(name="kubelet", argv=argv, home=site.home, join=self.group.join)

    def _wait_containerd(self) -> None:
        daemon = self._containerd()

        def answers() -> bool:
            daemon.check()
            return self.store.answers()

        wait_until(answers, seconds=90, what=f"containerd of {self.name}")

    def _drop_volatile(self) -> None:
        for address in self.site.runtime.glob("io.containerd.runtime.v2.task/*/*/address"):
            socket = Path(address.read_text().strip().removeprefix("unix://"))
            if socket.parent == _SHIM_SOCKETS:
                socket.unlink(missing_ok=True)
        mounts.detach(self.site.home)
        for folder in (self.site.runtime, self.site.addresses, self.site.home / "runc"):
            shutil.rmtree(folder, ignore_errors=True)
        self.site.socket.unlink(missing_ok=True)

    def _tidy_store(self) -> None:
        """Leave images alone in the store; should that fail, the whole store is given up."""
        if not (self.site.store / "io.containerd.metadata.v1.bolt").exists():
            return
        self.group.create()
        self._write_bare_config()
        daemon = self._containerd(config="bare.toml")
        try:
            daemon.ensure()
            self._wait_containerd()
            tidy = self.store.forget_containers()
            self.store.prune()
        except (TimeoutError, processes.DaemonDiedError):
            tidy = False
        daemon.stop()
        shutil.rmtree(self.site.store / "io.containerd.grpc.v1.cri", ignore_errors=True)
        if not tidy:
            self.store.drop()

    def _write_bare_config(self) -> None:
        self.site.home.mkdir(parents=True, exist_ok=True)
        (self.site.home / "bare.toml").write_text(nodeconfig.containerd(self.site, cri=False))

    def _remove_host_files(self) -> None:
        """Remove what libraries keep at places that cannot be chosen."""
        for result in _CNI_RESULTS.glob(f"{self.site.network}-*"):
            container = result.name.removeprefix(f"{self.site.network}-").partition("-")[0]
            for leftover in (result, *_CNI_RESULTS.glob(f"cni-loopback-{container}-*")):
                leftover.unlink(missing_ok=True)
        for link in _LOG_LINKS.glob("*"):
            if link.is_symlink() and link.readlink().is_relative_to(self.site.home):
                link.unlink()
        for folder in (_CNI_RESULTS, _CNI_RESULTS.parent / "cache", _CNI_RESULTS.parent, _SHIM_SOCKETS, _LOG_LINKS):
            with contextlib.suppress(OSError):
                folder.rmdir()
        with contextlib.suppress(OSError):
            _SHIM_SOCKETS.parent.rmdir()
