"""Where a system is measured: control plane, Redis with a queue for each pool, and the sizes of all Deployments."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp

from bench.fleet import for_each
from e2e.cluster.controlplane import ControlPlane
from e2e.cluster.processes import Daemon
from e2e.cluster.progress import say
from e2e.faults.watching import follow
from e2e.support.redis_server import RedisServer
from workerpool_operator.kube import ClusterAccess, Kube, errors, kinds

Json = dict[str, Any]

JOBS: Final = 10
JOBS_PER_WORKER: Final = 5
WORKERS: Final = JOBS // JOBS_PER_WORKER
"""What each queue demands."""
GROUP: Final = "workers"
_QUIET_SECONDS: Final = 30.0
_LONGEST_SECONDS: Final = 2400.0
SAY_SECONDS: Final = 10.0


@dataclass(frozen=True, kw_only=True)
class Load:
    """How many pools, over how many namespaces."""

    pools: int
    namespaces: int

    def places(self) -> list[str]:
        """The namespaces."""
        return [f"team-{number:04d}" for number in range(self.namespaces)]

    def place(self, number: int) -> str:
        """The namespace of a pool."""
        return f"team-{number % self.namespaces:04d}"


def name_of(number: int) -> str:
    """Name of a pool, and of its stream."""
    return f"pool-{number:05d}"


@dataclass(kw_only=True)
class Sizes:
    """`spec.replicas` of all worker Deployments, as they change. `pool_of` names a Deployment's pool, or none."""

    pool_of: Callable[[Json], str]
    sizes: dict[tuple[str, str], int] = field(default_factory=dict)
    """(namespace, Deployment) -> replicas."""
    changed_at: float = field(default_factory=time.monotonic)

    def hear(self, event: str, deployment: Json) -> None:
        """Take in one event of a watch on Deployments."""
        if not self.pool_of(deployment):
            return
        key = deployment["metadata"]["namespace"], deployment["metadata"]["name"]
        self.changed_at = time.monotonic()
        if event == "DELETED":
            self.sizes.pop(key, None)
        else:
            self.sizes[key] = int(deployment["spec"]["replicas"])

    def count(self, size: int) -> int:
        """How many Deployments have this size."""
        return sum(1 for one in self.sizes.values() if one == size)

    def quiet(self) -> bool:
        """Whether nothing has changed for a while, statuses included."""
        return time.monotonic() - self.changed_at > _QUIET_SECONDS


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A control plane, its clients, and the queues."""

    plane: ControlPlane
    access: ClusterAccess
    kube: Kube
    session: aiohttp.ClientSession
    redis: RedisServer
    load: Load
    sizes: Sizes
    watch: asyncio.Task[None]
    """By which `sizes` hears."""

    @property
    def home(self) -> Path:
        """Folder of all that is started here. What has its record in it ends with the control plane."""
        return self.plane.home

    def daemon(self, name: str, *argv: str, env: dict[str, str] | None = None) -> Daemon:
        """A program that ends with the stage."""
        return Daemon(name=name, argv=argv, home=self.home, env=env or {}, grace=10)

    def apply(self, *objects: Json) -> None:
        """Apply objects, as administrator. Raises RuntimeError."""
        self._apply("-", json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))

    def apply_file(self, path: Path) -> None:
        """Apply a file, or all files of a folder."""
        self._apply(str(path))

    def _apply(self, source: str, text: str = "") -> None:
        flags = ("--server-side", "--force-conflicts", "--filename", source)
        command = [str(self.plane.kubectl), "--kubeconfig", str(self.plane.kubeconfig), "apply", *flags]
        done = subprocess.run(command, check=False, capture_output=True, text=True, input=text)
        if done.returncode:
            raise RuntimeError(f"kubectl apply failed: {done.stderr.strip()}")

    async def namespaces(self, *others: str) -> None:
        """Make the pools' namespaces, and others."""
        for name in (*others, *self.load.places()):
            with suppress(errors.AlreadyExists):
                await self.kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})

    async def create(self, manifest: Callable[[int], Json]) -> None:
        """One object for each pool."""

        async def one(number: int) -> None:
            await self.kube.create(manifest(number))

        await for_each(one, range(self.load.pools))

    def queues(self) -> None:
        """Make each queue, empty."""
        client = self.redis.client()
        for number in range(self.load.pools):
            client.xgroup_create(name_of(number), GROUP, id="0", mkstream=True)
        client.close()

    def fill(self, jobs: int) -> None:
        """Put so many jobs into each queue."""
        client = self.redis.client()
        for number in range(self.load.pools):
            pipe = client.pipeline(transaction=False)
            for _ in range(jobs):
                pipe.xadd(name_of(number), {"type": "bench", "payload": "{}"})
            pipe.execute()
        client.close()

    async def until(
        self,
        what: str,
        holds: Callable[[], bool],
        *,
        progress: Callable[[], str],
        check: Callable[[], object],
        longest: float = _LONGEST_SECONDS,
    ) -> None:
        """Wait for it, with a line of progress now and then; `check` raises when a process has ended.

        Raises:
            TimeoutError: it did not come to hold.
            WatchLostError: nobody would hear of it.
        """
        started = said = time.monotonic()
        while not holds():
            now = time.monotonic()
            check()
            if self.watch.done():
                self.watch.result()
            if now - started > longest:
                raise TimeoutError(f"not within {longest:.0f} s: {what} ({progress()})")
            if now - said >= SAY_SECONDS:
                said = now
                say(f"  {progress()}, after {now - started:.0f} s")
            await asyncio.sleep(0.1)

    async def until_sized(self, size: int, *, check: Callable[[], object], longest: float = _LONGEST_SECONDS) -> None:
        """Until every pool's Deployment has this size. Raises as :meth:`until` does."""
        pools = self.load.pools
        await self.until(
            f"all Deployments at {size}",
            lambda: self.sizes.count(size) == len(self.sizes.sizes) == pools,
            progress=lambda: f"{self.sizes.count(size):,} of {pools:,} Deployments at {size}",
            check=check,
            longest=longest,
        )

    async def until_quiet(self, *, check: Callable[[], object]) -> None:
        """Until no Deployment has changed for a while."""
        await self.until(
            "Deployments change no more",
            self.sizes.quiet,
            progress=lambda: "waiting until nothing changes any more",
            check=check,
        )


@asynccontextmanager
async def stage(load: Load, *, home: Path, sizes: Sizes, plane: ControlPlane | None = None) -> AsyncIterator[Stage]:
    """Set it up, with all queues empty, and end everything with the context.

    `sizes` hears of all Deployments; `plane`: another than one at its default flags, not started.
    """
    wanted = plane or ControlPlane(name="bench-pools", data_dir=home / "plane")
    with wanted as running, RedisServer(home / "redis") as redis:
        access = await ClusterAccess.find(running.kubeconfig)
        async with Kube(access, timeout_seconds=60) as kube, access.watch_session() as session:
            following = asyncio.create_task(follow(access, kinds.DEPLOYMENT, on_event=sizes.hear))
            made = Stage(
                plane=running,
                access=access,
                kube=kube,
                session=session,
                redis=redis,
                load=load,
                sizes=sizes,
                watch=following,
            )
            made.queues()
            try:
                yield made
            finally:
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)
