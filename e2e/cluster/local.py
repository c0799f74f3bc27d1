"""A real cluster on this machine without Docker: the control plane and the nodes are host processes.

Needs root and Linux. One such cluster fits a machine at a time, since it owns fixed addresses; control planes
without nodes fit beside it in any number.

``up`` converges: it starts what does not run and restarts what runs with other flags, so it mends a crash and
changes flags in place. After a reboot of the machine it starts afresh.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from e2e.cluster import debian, images, locks, mounts, nodeconfig, paths, processes, services, toolchain
from e2e.cluster.api import wait_until
from e2e.cluster.arguments import Extra
from e2e.cluster.base import ClusterError, Image, Part, Wish
from e2e.cluster.cgroups import Group
from e2e.cluster.controlplane import ControlPlane
from e2e.cluster.host import Host
from e2e.cluster.network import MAX_NODES, Network
from e2e.cluster.node import Node
from e2e.cluster.nodeconfig import NodeSite
from e2e.cluster.processes import Daemon

_API_PORT = 6443
_NODES_READY_SECONDS = 120.0


class LocalCluster:
    """The ``local`` provider.

    Args:
        wish: what is asked for; where a cluster of that name is known, and no wish is given, its own.
    """

    provider = "local"

    def __init__(self, wish: Wish) -> None:
        self.wish = wish
        self.home = paths.state_of(wish.name)
        self.group = Group(path=f"workerpool-{wish.name}")
        self.network = Network(cluster=wish.name, nodes=wish.nodes)
        self.host = Host(record=self.home / "host.json")

    @property
    def kubeconfig(self) -> Path:
        """An administrator's kubeconfig."""
        return self.plane.kubeconfig

    @property
    def nodes(self) -> list[str]:
        """The names of the nodes."""
        return [node.name for node in self._nodes()]

    @property
    def audit_log(self) -> Path | None:
        """The API server's audit log, where the wish asks for one."""
        return self.plane.audit_log if self.wish.extra.audit else None

    @property
    def plane(self) -> ControlPlane:
        """The control plane."""
        home = self.home / "control-plane"
        if not self.wish.nodes:
            return ControlPlane(name=self.wish.name, data_dir=home, extra=self.wish.extra)
        return ControlPlane(
            name=self.wish.name,
            data_dir=home,
            address=self._address,
            port=_API_PORT,
            scheduler=True,
            extra=self.wish.extra,
            join=self._host_group.join,
        )

    def up(self) -> None:
        """Start all that does not run, and wait until nodes are Ready."""
        self._check_possible()
        if self.wish.nodes:
            debian.ensure(debian.NODE)
        toolchain.ensure(*(toolchain.LOCAL_CLUSTER if self.wish.nodes else (toolchain.NODE,)))
        with self._lock():
            self._forget_stale()
            self.network.check()
            self._remember()
            if self.wish.nodes:
                self._up_with_nodes()
            else:
                self.plane.start()

    def down(self) -> None:
        """End and remove everything, whatever state it is in."""
        if not self.home.exists() and not self.group.exists():
            return
        self._check_possible()
        with self._lock():
            self._down()

    def status(self) -> list[Part]:
        """Tell part by part what runs."""
        ready = self.plane.api.ready_nodes() if self.home.exists() and self.plane.daemons() else set()
        daemons = [*self.plane.daemons(), *self._host_daemons()]
        parts = [Part(name=each.name, up=each.record() is not None, detail=str(each.log)) for each in daemons]
        for node in self._nodes():
            detail = "Ready" if node.name in ready else "not Ready"
            parts.append(Part(name=node.name, up=node.running, detail=f"{detail}, files in {node.site.home}"))
        return parts

    def environment(self) -> Mapping[str, str]:
        """Give the variables for a shell."""
        return {
            "KUBECONFIG": str(self.kubeconfig),
            "PATH": os.pathsep.join([toolchain.search_path(), os.environ.get("PATH", os.defpath)]),
        }

    def build_image(self, *, dockerfile: Path, tag: str, context: Path, build_args: Mapping[str, str]) -> Image:
        """Build with buildah, on the local base image unless ``build_args`` name another ``BASE``."""
        return images.build(dockerfile=dockerfile, tag=tag, context=context, build_args=build_args)

    def load_image(self, reference: str) -> None:
        """Give the nodes an image that `images.build` made."""
        image = images.find(reference)
        missing = [node for node in self._nodes() if not node.store.has(image.reference, identity=image.identity)]
        if not missing:
            return
        with images.exported(image) as archive:
            _each(
                missing,
                lambda node: node.store.add(archive, reference=image.reference, identity=image.identity),
            )

    def host_path(self, path: str) -> str:
        """Give each node a folder of its own for it, as they share this machine's."""
        inside = nodeconfig.LOGS if path == "/var/log/pods" else f"host{path}"
        return f"{self.home}/$(NODE_NAME)/{inside}"

    def stop_node(self, name: str) -> None:
        """Lose a node as by a power cut."""
        self._node(name).kill()

    def start_node(self, name: str) -> None:
        """Bring a lost node back, and wait until it is Ready."""
        node, api = self._node(name), self.plane.api
        last_word = api.renewed(name)
        node.prepare()
        node.start()
        # Until its grace period is over, a lost node is still called Ready.
        wait_until(lambda: api.renewed(name) != last_word, seconds=_NODES_READY_SECONDS, what=f"a sign of {name}")
        self._wait_nodes({name})

    def stop_apiserver(self) -> None:
        """Take the API server away: connections break, then are refused."""
        self.plane.stop_apiserver()

    def start_apiserver(self) -> None:
        """Bring the API server back, and wait until it is ready."""
        self.plane.start_apiserver()

    @property
    def _address(self) -> str:
        return self.network.subnets[0].gateway

    @property
    def _host_group(self) -> Group:
        return Group(path=f"{self.group.path}/host")

    def _up_with_nodes(self) -> None:
        self.host.prepare()
        self.network.up()
        self._host_group.create()
        nodes = self._nodes()
        for node in nodes:
            node.prepare()
        self.plane.start()
        for daemon in self._services():
            daemon.ensure()
        _each(nodes, Node.start)
        self._wait_nodes({node.name for node in nodes})

    def _down(self) -> None:
        if self._wish_file.exists():
            self._note_wish(boot="")  # were this cut short, nothing of it may be built upon
        for daemon in self._host_daemons():
            daemon.stop(grace=0)
        nodes = self._nodes()
        for node in nodes:
            node.kill()
        self.plane.halt()
        if nodes:
            _each(nodes, Node.remove)
            processes.kill_and_wait(sorted(self.group.processes()))
            self.network.down()
            self.group.remove()
            self.host.restore()
        mounts.detach(self.home)
        shutil.rmtree(self.home, ignore_errors=True)

    def _nodes(self) -> list[Node]:
        plane = self.plane
        return [
            Node(
                site=NodeSite(
                    name=(name := f"node-{subnet.index + 1}"),
                    subnet=subnet,
                    home=self.home / name,
                    store=paths.cache_root() / "containerd" / self.wish.name / name,
                    pki=plane.authority.home,
                    cgroup=f"{self.group.path}/{name}",
                    dns=self._address,
                    network=f"{self.group.path}-{name}",
                ),
                authority=plane.authority,
                server=f"https://{self._address}:{_API_PORT}",
            )
            for subnet in self.network.subnets
        ]

    def _node(self, name: str) -> Node:
        for node in self._nodes():
            if node.name == name:
                return node
        raise ClusterError(f"no node {name!r}; there are {', '.join(self.nodes) or 'none'}")

    def _services(self) -> list[Daemon]:
        join, node = self._host_group.join, self.nodes[0]
        return [
            services.dns(self.plane, address=self._address, join=join),
            services.proxy(self.plane, node=node, address=self._address, join=join),
        ]

    def _host_daemons(self) -> list[Daemon]:
        """Give those that serve the nodes, only to look at or to stop."""
        if not self.wish.nodes:
            return []
        return [Daemon(name=name, argv=(), home=self.plane.home) for name in ("coredns", "kube-proxy")]

    def _wait_nodes(self, names: set[str]) -> None:
        api = self.plane.api
        wait_until(
            lambda: names <= api.ready_nodes(),
            seconds=_NODES_READY_SECONDS,
            what=f"nodes Ready (logs are in {self.home}/node-*/kubelet.log)",
            pause=0.2,
        )

    def _check_possible(self) -> None:
        if not self.wish.nodes:
            return
        if os.geteuid() != 0:
            raise ClusterError("nodes need root: run as root, use the kind provider, or ask for --nodes 0")
        if self.wish.nodes > MAX_NODES:
            raise ClusterError(f"at most {MAX_NODES} nodes fit the address plan")

    @property
    def _wish_file(self) -> Path:
        return self.home / "cluster.json"

    def _remember(self) -> None:
        known = recall(self.wish.name)
        if known and known.nodes != self.wish.nodes:
            raise ClusterError(f"cluster {self.wish.name!r} has {known.nodes} nodes; take it down first")
        self._note_wish(boot=processes.boot_id())

    def _note_wish(self, *, boot: str) -> None:
        draft = self._wish_file.with_suffix(".tmp")
        draft.write_text(json.dumps({**asdict(self.wish), "boot": boot}))
        draft.replace(self._wish_file)

    def _forget_stale(self) -> None:
        """Build nothing upon what half a ``down`` left, or upon another boot: etcd's data may be torn without fsync."""
        if self._wish_file.exists() and json.loads(self._wish_file.read_text())["boot"] != processes.boot_id():
            self._down()
        self.home.mkdir(parents=True, exist_ok=True)

    def _lock(self) -> contextlib.AbstractContextManager[None]:
        """Let one command at a time change the cluster."""
        path = paths.state_root() / f"{self.wish.name}.lock"
        return locks.exclusive(path, waiting_for=f"another command on cluster {self.wish.name}")


def recall(name: str) -> Wish | None:
    """Give the wish that a known cluster was started by."""
    try:
        known = json.loads((paths.state_of(name) / "cluster.json").read_text())
    except (OSError, ValueError):
        return None
    return Wish(name=known["name"], nodes=known["nodes"], extra=Extra.of(known["extra"]))


def _each(nodes: list[Node], action: Callable[[Node], None]) -> None:
    """Do the same on all nodes at once; the first error is raised."""
    with ThreadPoolExecutor(max_workers=max(1, len(nodes))) as pool:
        list(pool.map(action, nodes))
