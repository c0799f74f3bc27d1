"""Where faults are tried, and what a fault is to the suite."""

from __future__ import annotations

import json
import subprocess
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import yaml

from e2e.cluster.api import wait_until
from e2e.cluster.arguments import Extra
from e2e.cluster.controlplane import ControlPlane
from e2e.faults.lane import Lane, Play
from e2e.faults.matrix.rows import Trial
from workerpool_operator.kube import kinds

Json = dict[str, Any]

ROOT = Path(__file__).resolve().parents[3]
RESYNC_SECONDS = 15
"""How often the operator compares everything here, where an installation has 300: what waits for that comes sooner."""


@dataclass(frozen=True, kw_only=True)
class Depth:
    """How much is tried."""

    short: bool = False
    """A little of everything, within a minute or two for all of it."""

    def of(self, full: float, short: float) -> float:
        """One or the other."""
        return short if self.short else full


class Fault(Protocol):
    """One row of the matrix."""

    @property
    def number(self) -> str:
        """F1 to F13."""

    @property
    def what(self) -> str:
        """What is done, in one sentence for the report."""

    @property
    def pods(self) -> bool:
        """Whether it takes the cluster with real pods."""

    def trials(self, ground: Ground) -> AsyncGenerator[Trial, None]:
        """Try it; each trial is given as soon as it is over."""

    @property
    def points(self) -> tuple[int, int] | None:
        """After the trials: how many write points there are, and how many were tried; None where they do not count."""


@dataclass(kw_only=True)
class Ground:
    """Control planes that serve WorkerPools, started when they are first wanted and ended with the context."""

    home: Path
    depth: Depth = field(default_factory=Depth)
    clean: dict[str, Play] = field(default_factory=dict)
    """What scenarios come to without a fault."""
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    _planes: dict[str, ControlPlane] = field(default_factory=dict)
    _given: ControlPlane | None = None
    _lanes: int = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._planes = {name: plane for name, plane in self._planes.items() if plane is self._given}
        await self._stack.aclose()

    def use(self, plane: ControlPlane) -> None:
        """Take this one, which serves WorkerPools, instead of a new one."""
        self._planes["plain"] = self._given = plane

    def plane(self, name: str = "plain", *, extra: Extra | None = None, scheduler: bool = False) -> ControlPlane:
        """Give the control plane of that name; all faults share the one without a name."""
        if name not in self._planes:
            home = self.home / f"plane-{name}"
            plane = ControlPlane(name=f"matrix-{name}", data_dir=home, scheduler=scheduler, extra=extra)
            self._planes[name] = self._stack.enter_context(plane)
            install(plane)
        return self._planes[name]

    @asynccontextmanager
    async def lane(
        self,
        *,
        plane: ControlPlane | None = None,
        settings: Mapping[str, str] | None = None,
        user: Path | None = None,
        kubelet: bool = True,
    ) -> AsyncIterator[Lane]:
        """Run an operator there, of which nothing is left afterwards but its log."""
        self._lanes += 1
        async with Lane.on(
            plane or self.plane(),
            home=self.home / f"lane-{self._lanes}",
            tls=self.home / "tls",
            settings={"RESYNC_SECONDS": str(RESYNC_SECONDS), **(settings or {})},
            user=user,
            kubelet=kubelet,
        ) as lane:
            yield lane


def install(plane: ControlPlane) -> None:
    """Have the control plane serve WorkerPools."""
    apply(plane, definitions())
    wait_until(lambda: plane.api.get(kinds.WORKER_POOL.path()) is not None, seconds=30, what="WorkerPools are served")


def definitions() -> list[Json]:
    """Give those of this checkout."""
    return [yaml.safe_load(path.read_text()) for path in sorted((ROOT / "crds").glob("*.yaml"))]


def apply(plane: ControlPlane, documents: Sequence[Json]) -> None:
    """Put these objects, of whatever kind, into the cluster."""
    command = [str(plane.kubectl), f"--kubeconfig={plane.kubeconfig}", "apply", "--server-side", "--force-conflicts"]
    body = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(documents)})
    subprocess.run([*command, "--filename=-"], input=body, text=True, check=True, stdout=subprocess.DEVNULL)
