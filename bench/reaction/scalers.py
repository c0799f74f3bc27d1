"""Each scaler on the cluster: what has to be installed for it, what it is told, and when it is ready for a load."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol

from bench.reaction import figures, manifests
from bench.reaction.play import NotMeasuredError
from e2e.keda import install as keda
from e2e.monitoring import adapter, prometheus, stage
from e2e.monitoring.adapter import Adapter
from e2e.monitoring.manifests import remove_clusterwide
from e2e.monitoring.prometheus import Prometheus
from e2e.support import images, pools
from e2e.support.kubectl import Json, condition
from e2e.support.redis import Redis as Server
from e2e.support.stack import Stack, install
from e2e.support.wait import until, wait_for
from workerpool.redis import Redis

VALUES: Final = ("externalMetrics.enabled=true", "monitoring.enabled=false", "dashboards.enabled=false")
"""What the operator is installed with: mode hpa reads from it."""
_WITHOUT_API: Final = ("externalMetrics.enabled=false", *VALUES[1:])
"""While a peer has the one place of the external metrics API."""
MONITORING: Final = "bench-monitoring"
KEDA_POLL_SECONDS: Final = 30.0
_HPA_SECONDS: Final = 15.0
_IDLE_SECONDS: Final = 5.5
"""Our collector reads a queue less often once nothing has moved for 5 s: a load comes after that."""
_SECONDS: Final = 120.0


@dataclass(frozen=True, kw_only=True)
class Ground:
    """The place where scalers are measured."""

    stack: Stack
    namespace: str
    redis: Server

    def apply(self, *objects: Json) -> None:
        """Make these objects."""
        self.stack.kubectl.apply(*objects)

    def deployment(self, name: str, *, replicas: int) -> Json:
        """Give the plain Deployment of the worker."""
        image, redis = self.stack.images.worker, self.redis.url
        return manifests.deployment(name, self.namespace, image=image, redis=redis, replicas=replicas)


class Scaler(Protocol):
    """One way to size workers."""

    @property
    def name(self) -> str:
        """What it is called in the figures."""

    @property
    def label(self) -> str:
        """Of its pods and Deployments; the value is the name of the stream."""

    @property
    def rest(self) -> int:
        """How many workers there are without work."""

    def put(self, ground: Ground, name: str) -> None:
        """Have it scale workers on the stream of this name, and wait until it would react."""

    async def moment(self, ground: Ground, name: str, redis: Redis) -> None:
        """Wait for the moment at which a load may come: one that is neither good nor bad luck."""

    def remove(self, ground: Ground, name: str) -> None:
        """Take it away with its workers."""


@dataclass(frozen=True, kw_only=True)
class Ours:
    """A WorkerPool."""

    name: str
    mode: str
    label: str = pools.POOL_LABEL
    rest: int = 0

    def put(self, ground: Ground, name: str) -> None:
        """Make the pool."""
        image, redis = ground.stack.images.worker, ground.redis.url
        ground.apply(manifests.pool(name, ground.namespace, image=image, redis=redis, mode=self.mode))
        pools.wait_watched(ground.stack.kubectl, ground.namespace, name)

    async def moment(self, ground: Ground, name: str, redis: Redis) -> None:  # noqa: ARG002  it looks all the time
        """Wait until the queue is read seldom; then any moment is as good."""
        await asyncio.sleep(_IDLE_SECONDS + random.random())

    def remove(self, ground: Ground, name: str) -> None:
        """Delete the pool."""
        ground.stack.kubectl.delete("workerpool", name, namespace=ground.namespace)


@dataclass(frozen=True, kw_only=True)
class Keda:
    """A Deployment with KEDA's ScaledObject."""

    name: str
    tuned: bool
    label: str = manifests.LABEL
    rest: int = 0

    def put(self, ground: Ground, name: str) -> None:
        """Make both, and wait until KEDA has its HPA."""
        kubectl, where = ground.stack.kubectl, ground.namespace
        ground.apply(
            ground.deployment(name, replicas=0),
            manifests.scaled_object(name, where, redis=ground.redis.url, tuned=self.tuned),
        )
        wait_for(
            lambda: condition(kubectl.get("scaledobject", name, namespace=where), "Ready") == "True",
            seconds=_SECONDS,
            what=f"KEDA ready to scale {name}",
        )

    async def moment(self, ground: Ground, name: str, redis: Redis) -> None:
        """Wait for the middle between two looks of KEDA, or of its HPA: the median of what a load finds."""
        if self.tuned:
            await _between_looks(ground, f"keda-hpa-{name}")
            return
        before = await _group_looks(redis)

        async def looked() -> bool:
            return await _group_looks(redis) > before

        await until(looked, seconds=2 * KEDA_POLL_SECONDS, what="KEDA's look at the stream", pause=0.2)
        await asyncio.sleep(KEDA_POLL_SECONDS / 2)

    def remove(self, ground: Ground, name: str) -> None:
        """Delete both."""
        kubectl = ground.stack.kubectl
        kubectl.delete("scaledobject", name, namespace=ground.namespace)
        kubectl.delete("deployment", name, namespace=ground.namespace)


@dataclass(frozen=True, kw_only=True)
class Hpa:
    """A Deployment with an HPA that reads from prometheus-adapter; Kubernetes' own HPA does not go to 0."""

    name: str = figures.ADAPTER
    label: str = manifests.LABEL
    rest: int = 1

    def put(self, ground: Ground, name: str) -> None:
        """Make both, and wait until the HPA knows its number."""
        kubectl, where = ground.stack.kubectl, ground.namespace
        ground.apply(ground.deployment(name, replicas=1), manifests.autoscaler(name, where))
        wait_for(
            lambda: condition(kubectl.get("hpa", name, namespace=where), "ScalingActive") == "True",
            seconds=_SECONDS,
            what=f"an HPA that knows the backlog of {name}",
        )

    async def moment(self, ground: Ground, name: str, redis: Redis) -> None:  # noqa: ARG002  it asks Prometheus
        """Wait for the middle between two looks of the HPA."""
        await _between_looks(ground, name)

    def remove(self, ground: Ground, name: str) -> None:
        """Delete both."""
        kubectl = ground.stack.kubectl
        kubectl.delete("hpa", name, namespace=ground.namespace)
        kubectl.delete("deployment", name, namespace=ground.namespace)


OURS: Final[tuple[Scaler, ...]] = (Ours(name=figures.DIRECT, mode="direct"), Ours(name=figures.HPA, mode="hpa"))
KEDAS: Final[tuple[Scaler, ...]] = (
    Keda(name=figures.KEDA, tuned=False),
    Keda(name=figures.FAST_KEDA, tuned=True),
)
HPAS: Final[tuple[Scaler, ...]] = (Hpa(),)
ALL: Final = (*OURS, *KEDAS, *HPAS)


def prepare(stack: Stack, scalers: Sequence[Scaler]) -> None:
    """Make what takes minutes the first time."""
    if any(scaler in KEDAS for scaler in scalers):
        keda.prepare(stack)
    if any(scaler in HPAS for scaler in scalers):
        images.ensure(stack.cluster, prometheus.IMAGE)
        images.ensure(stack.cluster, adapter.IMAGE)


def installed(ground: Ground, scaler: Scaler, streams: Sequence[str]) -> AbstractContextManager[None]:
    """Have in the cluster what this scaler and those like it need, which will scale on these streams."""
    if scaler in OURS:
        return contextlib.nullcontext()  # it is there from the beginning
    return _keda(ground) if scaler in KEDAS else _adapter(ground, streams)


@contextlib.contextmanager
def _keda(ground: Ground) -> Iterator[None]:
    with _without_our_api(ground.stack), keda.installed(ground.stack):
        yield


@contextlib.contextmanager
def _adapter(ground: Ground, streams: Sequence[str]) -> Iterator[None]:
    stack, kubectl = ground.stack, ground.stack.kubectl
    labels = {"release": "bench"}
    exporting = manifests.exporting(
        ground.namespace, image=stack.images.worker, redis=ground.redis.url, streams=list(streams), labels=labels
    )
    found = Prometheus(kubectl=kubectl, namespace=MONITORING, selected_by=labels)
    serving = Adapter(kubectl=kubectl, namespace=MONITORING, values=manifests.adapter_values())
    with _without_our_api(stack):
        try:
            stage.define(kubectl)
            ground.apply(*exporting)
            found.deploy(image=images.ensure(stack.cluster, prometheus.IMAGE))
            with serving.serving(found, image=images.ensure(stack.cluster, adapter.IMAGE)):
                yield
        finally:
            kubectl.delete("namespace", MONITORING)
            stage.forget(kubectl)
            remove_clusterwide(kubectl)


@contextlib.contextmanager
def _without_our_api(stack: Stack) -> Iterator[None]:
    """Leave the one place of the external metrics API to somebody else."""
    install(stack.kubectl, image=stack.images.operator, values=_WITHOUT_API)
    try:
        yield
    finally:
        install(stack.kubectl, image=stack.images.operator, values=VALUES)


async def _between_looks(ground: Ground, hpa: str) -> None:
    """Wait for the middle between two looks of an HPA, which looks every 15 s from when it was made."""
    found = ground.stack.kubectl.get("hpa", hpa, namespace=ground.namespace)
    if not found:
        raise NotMeasuredError(f"there is no HPA {hpa}")
    made = datetime.fromisoformat(found["metadata"]["creationTimestamp"])
    age = (datetime.now(UTC) - made).total_seconds()
    await asyncio.sleep((_HPA_SECONDS / 2 - age) % _HPA_SECONDS)


async def _group_looks(redis: Redis) -> int:
    """How often anybody has asked Redis for the state of a stream's groups."""
    told: bytes = await redis.call("INFO", "commandstats")
    found = re.search(rb"cmdstat_xinfo\|groups:calls=(\d+)", told)
    return int(found[1]) if found else 0
