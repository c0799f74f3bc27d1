"""The host as it was before: what the cluster changes outside of its own folders, noted first and put back.

Kernel settings are changed by us (forwarding) and by the kubelet (memory, panics). Folders at fixed places are
made by the kubelet, containerd and the CNI library; those that were not there before are removed with all in them.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

WANTED = {
    "net/ipv4/ip_forward": "1",
    # Else answers between two pods of one bridge bypass the address translation of Services.
    "net/bridge/bridge-nf-call-iptables": "1",
}
_KUBELET_CHANGES = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)
_FOLDERS = (
    "/etc/cni",
    "/opt/containerd",
    "/run/containerd",
    "/usr/libexec/kubernetes",
    "/var/lib/cni",
    "/var/lib/kubelet",
    "/var/log/containers",
    "/var/log/pods",
)
_SYSCTL = Path("/proc/sys")


@dataclass(frozen=True, kw_only=True)
class Host:
    """The host's former state, kept in ``record`` while the cluster is up."""

    record: Path

    def prepare(self) -> None:
        """Note what is there, once, then set what the cluster needs."""
        _load_bridge_filter()
        if not self.record.exists():
            settings = {name: (_SYSCTL / name).read_text().strip() for name in (*WANTED, *_KUBELET_CHANGES)}
            absent = [folder for folder in _FOLDERS if not Path(folder).exists()]
            self.record.parent.mkdir(parents=True, exist_ok=True)
            self.record.write_text(json.dumps({"settings": settings, "absent": absent}))
        for name, value in WANTED.items():
            (_SYSCTL / name).write_text(value)

    def restore(self) -> None:
        """Put everything back; without a record there is nothing to put back."""
        if not self.record.exists():
            return
        former = json.loads(self.record.read_text())
        for name, value in former["settings"].items():
            if (_SYSCTL / name).read_text().strip() != value:
                (_SYSCTL / name).write_text(value)
        for folder in former["absent"]:
            shutil.rmtree(folder, ignore_errors=True)
        self.record.unlink()


def _load_bridge_filter() -> None:
    if (modprobe := shutil.which("modprobe")) and not (_SYSCTL / "net/bridge").exists():
        subprocess.run([modprobe, "br_netfilter"], check=False, capture_output=True)
