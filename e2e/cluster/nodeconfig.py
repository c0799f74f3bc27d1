"""What a node's programs are told: pure functions from where the node lies to the text of its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e.cluster.network import Subnet

PAUSE_IMAGE = "docker.io/workerpool-operator/pause:local"
CLUSTER_DOMAIN = "cluster.local"
KUBELET_PORT = 10250
LOGS = "logs"
"""Folder of the pods' logs below a node's home: of two kubelets with one folder, each would delete the other's."""

_UNUSED_PLUGINS = (
    "io.containerd.internal.v1.opt",
    "io.containerd.snapshotter.v1.aufs",
    "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.devmapper",
    "io.containerd.snapshotter.v1.zfs",
    "io.containerd.tracing.processor.v1.otlp",
)
"""One of them would make ``/opt/containerd``; the others only warn that they cannot work."""
_CRI = "io.containerd.grpc.v1.cri"


@dataclass(frozen=True, kw_only=True)
class NodeSite:
    """Where one node lives.

    ``home`` is the node's memory and disk, gone with the cluster; ``store`` holds the images and stays.
    """

    name: str
    subnet: Subnet
    home: Path
    store: Path
    pki: Path
    cgroup: str
    dns: str
    network: str
    """The CNI network's name: unique to cluster and node, as plug-ins keep files by it."""

    @property
    def socket(self) -> Path:
        """Give containerd's socket."""
        return self.home / "containerd.sock"

    @property
    def runtime(self) -> Path:
        """Give containerd's volatile folder: what a reboot would lose."""
        return self.home / "run"

    @property
    def addresses(self) -> Path:
        """Give the folder in which pod addresses are handed out."""
        return self.home / "addresses"

    @property
    def kubelet_root(self) -> Path:
        """Give the kubelet's folder, with the pods' volumes."""
        return self.home / "pods"


def containerd(site: NodeSite, *, cri: bool = True) -> str:
    """Give containerd's configuration (TOML, version 2).

    Args:
        site: the node.
        cri: without it, containerd only knows its store: so leftovers can be removed behind no one's back.
    """
    disabled = [*_UNUSED_PLUGINS, *([] if cri else [_CRI])]
    # Some containers (of a machine in a machine) lack the right to lower a score: restrict_oom_score_adj.
    return f"""version = 2
root = "{site.store}"
state = "{site.runtime}"
disabled_plugins = {disabled}

[grpc]
address = "{site.socket}"

[debug]
level = "warn"

[plugins."{_CRI}"]
sandbox_image = "{PAUSE_IMAGE}"
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true

[plugins."{_CRI}".containerd]
snapshotter = "overlayfs"
default_runtime_name = "runc"

[plugins."{_CRI}".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."{_CRI}".containerd.runtimes.runc.options]
SystemdCgroup = false
Root = "{site.home / "runc"}"

[plugins."{_CRI}".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{site.home / "cni"}"
"""


def cni(site: NodeSite) -> Mapping[str, Any]:
    """Give the pod network: a port of the node's bridge for each pod. No hostPort, no NetworkPolicy."""
    first, *_, last = site.subnet.pods
    bridge = {
        "type": "bridge",
        "bridge": site.subnet.bridge,
        "isDefaultGateway": True,
        "ipMasq": False,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": site.subnet.range, "rangeStart": first, "rangeEnd": last}]],
            "dataDir": str(site.addresses),
        },
    }
    return {"cniVersion": "1.0.0", "name": site.network, "plugins": [bridge]}


def kubelet(site: NodeSite) -> Mapping[str, Any]:
    """Give the kubelet's configuration.

    Pull and API rates are without brakes, since many pods are started at once and no registry is to be spared.
    Images are never collected and a disk is full only when it truly is: nothing could pull an image again.
    """
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": site.subnet.gateway,
        "port": KUBELET_PORT,
        "healthzBindAddress": site.subnet.gateway,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(site.pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(site.pki / f"{site.name}.crt"),
        "tlsPrivateKeyFile": str(site.pki / f"{site.name}.key"),
        "containerRuntimeEndpoint": f"unix://{site.socket}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{site.cgroup}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "oomScoreAdj": 0,
        "makeIPTablesUtilChains": False,
        "clusterDNS": [site.dns],
        "clusterDomain": CLUSTER_DOMAIN,
        "podLogsDir": str(site.home / LOGS),
        "volumePluginDir": str(site.home / "volume-plugins"),
        "serializeImagePulls": False,
        "registryPullQPS": 0,
        "kubeAPIQPS": 200,
        "kubeAPIBurst": 400,
        "eventRecordQPS": 0,
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "1%",
            "nodefs.inodesFree": "1%",
            "imagefs.available": "1%",
        },
    }
