"""The Debian packages that carry containers, installed where they are missing.

They come from the distribution because they have to fit its kernel and each other, and as nothing but apt has to
be reached for them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from e2e.cluster import progress
from e2e.cluster.base import ClusterError

NODE: Mapping[str, str] = {
    "containerd": "containerd",
    "runc": "runc",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "iptables": "iptables",
    "nft": "nftables",
    "conntrack": "conntrack",
    "ip": "iproute2",
}
"""What a node needs: a program (looked up in the system folders) and the package that has it."""

IMAGES: Mapping[str, str] = {"buildah": "buildah", "debootstrap": "debootstrap"}
"""What the building of images needs."""

_LOCKED = "Could not get lock"
_LOCKED_SECONDS = 300.0
_RETRY_SECONDS = 2.0
_FOLDERS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def ensure(programs: Mapping[str, str]) -> None:
    """Install the packages of those programs that are missing.

    Raises:
        ClusterError: they are missing and cannot be installed from here.
    """
    packages = missing(programs)
    if not packages:
        return
    names = " ".join(packages)
    if shutil.which("apt-get") is None:
        raise ClusterError(f"missing here, and there is no apt-get to install it: {names}")
    if os.geteuid() != 0:
        raise ClusterError(f"missing here; run as root: apt-get install {names}")
    with progress.Step(f"installing Debian packages: {names}"):
        _apt("update", "--quiet")
        _apt("install", "--quiet", "--yes", "--no-install-recommends", *packages)


def missing(programs: Mapping[str, str]) -> list[str]:
    """Give the packages whose programs are not there."""
    return sorted({package for program, package in programs.items() if not _present(program)})


def _present(program: str) -> bool:
    if program.startswith("/"):
        return Path(program).exists()
    return shutil.which(program, path=_FOLDERS) is not None


def _apt(*arguments: str) -> None:
    """Wait for another's apt-get, such as that of a machine's first start: apt's own option knows one of two locks."""
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}  # in the words that are looked for
    until = time.monotonic() + _LOCKED_SECONDS
    while True:
        result = subprocess.run(["apt-get", *arguments], env=env, check=False, capture_output=True, text=True)
        if result.returncode == 0 or _LOCKED not in result.stderr or time.monotonic() >= until:
            break
        time.sleep(_RETRY_SECONDS)
    if result.returncode != 0:
        raise ClusterError(f"`apt-get {' '.join(arguments)}` failed:\n{result.stderr[-2000:]}")
