"""Where both systems are measured: a control plane with fake nodes, whose clients are not the bottleneck.

The control plane's own controllers write 20 times a second at their defaults, with which 20,000 pods would take a
quarter of an hour and more: they may write as fast as the machine lets them, the same for both systems. They collect
garbage less often, renew fewer leases and do not check their caches, as they share their cores with the system. It is a
user of its own, whose requests the API server counts.
"""

from __future__ import annotations

import math
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from bench.fleet import for_each
from bench.pools.stage import Load, Sizes, Stage, stage
from bench.scale.audit import AuditLog, flags, policy
from e2e.cluster import kwok, paths
from e2e.cluster.arguments import Extra
from e2e.cluster.controlplane import ControlPlane
from workerpool_operator.domain.desired import COLLECTOR_NAME

USER: Final = "bench-system"
WORKERS: Final = 4
"""Of each pool."""
MORE: Final = 5
"""The same after all were scaled."""
_SURGE: Final = 1
_PODS_PER_NODE: Final = 110
_LEASE_SECONDS: Final = 400
_POD_ADDRESS: Final = re.compile(r"^ *\{\{ \$podIPs := .*?(?=^ *phase: Running)", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Ground:
    """A stage, and who counts."""

    stage: Stage
    audit: AuditLog

    @property
    def kubeconfig(self) -> Path:
        """That of the system under test."""
        return kubeconfig_of(self.stage.home)


def kubeconfig_of(home: Path) -> Path:
    """The file in the control plane's folder by which the system under test is `USER`."""
    return home / "system.kubeconfig"


def collector_user(place: str) -> str:
    """Who the collector of a namespace is to the API server."""
    return f"system:serviceaccount:{place}:{COLLECTOR_NAME}"


@asynccontextmanager
async def ground(load: Load, *, home: Path, sizes: Sizes) -> AsyncIterator[Ground]:
    """Set it up with empty queues and room for all workers; all of it ends with the context."""
    log = home / "audit.log"
    plane = _control_plane(home, load=load, log=log)
    async with stage(load, home=home, sizes=sizes, plane=plane) as place:
        plane.write_kubeconfig(kubeconfig_of(place.home), user=USER, groups=["system:masters"])
        kwok.start(plane, stages=_stages(home), lease_seconds=_LEASE_SECONDS)
        pods = load.pools * (max(WORKERS, MORE) + _SURGE) + 2 * load.namespaces
        await _nodes(place, math.ceil(pods / _PODS_PER_NODE))
        yield Ground(stage=place, audit=AuditLog(log))


def without_addresses(stages: str) -> str:
    """KWOK's stages without addresses of pods.

    A collector would try to read the metrics of each Ready pod that has no stream, at an address that nobody has.

    Raises:
        ValueError: they are not as they were when this was written.
    """
    changed, number = _POD_ADDRESS.subn("", stages)
    if number != 1:
        raise ValueError("KWOK's stages give pods their addresses in another way now")
    return changed


def _stages(home: Path) -> Path:
    file = home / "kwok.yaml"
    file.write_text(without_addresses((paths.SOURCE / "kwok.yaml").read_text()))
    return file


def _control_plane(home: Path, *, load: Load, log: Path) -> ControlPlane:
    rules = home / "audit.yaml"
    rules.write_text(policy([USER, collector_user(load.place(0))]))
    fast = ("--kube-api-qps=1000", "--kube-api-burst=2000")
    extra = Extra(
        # Between two compactions, 20,000 pods and their events write more than its default of 2 GiB.
        etcd_args=("--quota-backend-bytes=8589934592",),
        apiserver_args=(
            "--max-requests-inflight=2000",
            "--max-mutating-requests-inflight=1000",
            *flags(rules, log),
        ),
        # A machine that is this busy must not lose its fake nodes for it.
        controller_manager_args=(*fast, "--node-monitor-grace-period=10m"),
        scheduler_args=fast,
        feature_gates={"DetectCacheInconsistency": False},
        environment={"GOGC": "400"},
    )
    return ControlPlane(name="bench-scale", data_dir=home / "plane", scheduler=True, extra=extra)


async def _nodes(place: Stage, count: int) -> None:
    """With room for any request: what limits a node is its number of pods."""
    bodies = list(yaml.safe_load_all(kwok.nodes(count, cpu="1000", memory="4Ti", pods=_PODS_PER_NODE)))

    async def create(number: int) -> None:
        await place.kube.create(bodies[number])

    await for_each(create, range(count))
