"""A pool with dead jobs, for what asks about them: a real API server, a real Redis, and a kubelet that is played."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from typing import Any

from e2e.cluster.controlplane import ControlPlane
from tests.component.cli.played_job import PlayedJobs
from tests.support.crds import kubectl
from tests.support.kubelet import played_kubelet
from tests.support.pools import pool_body
from workerpool import Queue
from workerpool.broker import DeadLetter, DeathReason
from workerpool_operator.domain.desired.names import COLLECTOR_NAME
from workerpool_operator.kube import Kube


def collector(namespace: str) -> dict[str, Any]:
    """What of the namespace's collector is needed: its image."""
    labels = {"a": "collector"}
    pod = {"containers": [{"name": "collector", "image": "registry.example/operator:1"}]}
    spec = {
        "replicas": 0,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": pod},
    }
    metadata = {"name": COLLECTOR_NAME, "namespace": namespace}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


@contextlib.asynccontextmanager
async def pool_of_dead(
    plane: ControlPlane, kube: Kube, namespace: str, *, url: str, stream: str, played: type[PlayedJobs] = PlayedJobs
) -> AsyncIterator[PlayedJobs]:
    """A pool with three dead jobs, in a namespace that admits restricted pods only."""
    kubectl(plane, "label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    place = {"url": url, "stream": stream, "group": "g"}
    await kube.create(pool_body(namespace=namespace, queues=[{"name": "main", "redisStream": place}]))
    await kube.create(collector(namespace))
    await bury(url, stream)
    async with played_kubelet(plane, kube, name=f"node-{secrets.token_hex(3)}") as kubelet:
        jobs = played(plane, kube, kubelet, namespace)
        task = asyncio.create_task(jobs.run())
        try:
            yield jobs
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def bury(url: str, stream: str) -> None:
    async with Queue.connect(url, stream=stream, group="g") as queue:
        for number in range(3):
            await queue.enqueue("resize", {"secret": number}, job_id=f"job-{number}", tenant="acme")
        taken = await queue._broker.take(limit=3, wait=5)
        reasons = [DeathReason.REJECTED, DeathReason.MAX_ATTEMPTS, DeathReason.REJECTED]
        letters = [
            DeadLetter(job, reason, error="no \x1b[2J way", traceback="tb", version=version, worker="w")
            for job, reason, version in zip(taken, reasons, ("v1", "v1", "v2"), strict=True)
        ]
        await queue._broker.dead_letter(letters)
