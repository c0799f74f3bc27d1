"""A pool on each of the other brokers, on real pods: sized by what waits there, drained, and nothing lost."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from e2e.scene import Scene
from e2e.servers import SERVERS, USER, Served, queue_of, serving
from e2e.support.kubectl import Json
from e2e.support.wait import wait_for
from workerpool import Queue

PROGRAM = Path(__file__).parent / "support" / "recording_worker.py"
FOLDER = "/program"
JOBS = 60
SECONDS = 1.5
"""Of each job: long enough that the pool is made smaller in their midst."""


@pytest.fixture(params=sorted(SERVERS))
def kind(request: pytest.FixtureRequest) -> str:
    """Of the broker."""
    found: str = request.param
    return found


@pytest.fixture
def server(kind: str, scene: Scene) -> Iterator[Served]:
    """One on the address at which pods reach this machine: that of the API server, which runs here too."""
    if scene.stack.cluster.provider != "local":
        pytest.skip("these servers run on this machine, where only the pods of the local provider reach them")
    [cluster] = yaml.safe_load(scene.stack.cluster.kubeconfig.read_text())["clusters"]
    host = urlsplit(cluster["cluster"]["server"]).hostname
    assert host
    with serving(kind, host) as one:
        yield one


@pytest.mark.timeout(420)
def test_a_pool_is_sized_by_what_waits_in_its_broker_and_drains_without_a_loss(
    scene: Scene, kind: str, server: Served
) -> None:
    """From 0 to 3 workers by depth, to 1 in the midst of the jobs, and to 0 when none is left."""
    pool = f"on-{kind}"
    queue, name = queue_of(kind, url=server.url)
    _apply(scene, pool, queue=queue, server=server, most=3)
    scene.wait_condition(pool, "Ready", status="True", reason="ScaledToZero")
    scene.wait_condition(pool, "QueueReachable", status="True", reason="SamplesFresh")
    with scene.watching(pool) as sizes:
        jobs = asyncio.run(_put(server, name))
        scene.wait_workers(pool, 3)
        _wait_done(scene, pool, JOBS // 4)
        scene.patch(pool, {"scaling": {"maxReplicas": 1}})
        _wait_done(scene, pool, JOBS)
    assert sizes.most_wanted == 3, sizes.history
    scene.wait_workers(pool, 0, seconds=90)
    starts, ends = _told(scene, pool, "start"), _told(scene, pool, "finish")
    assert ends == Counter(jobs), "each job is done, and none twice"
    assert starts == ends, "none was cut off"
    assert asyncio.run(_left(server, name)) == (0, 0, 0)


def test_a_wrong_password_is_a_reason_of_its_own(scene: Scene, kind: str, server: Served) -> None:
    """The collector tells it from a broker that is away."""
    pool = f"locked-{kind}"
    queue, _ = queue_of(kind, url=server.url)
    _apply(scene, pool, queue=queue, server=Served(url=server.url, password="wrong"), most=1)
    scene.wait_condition(pool, "QueueReachable", status="False", reason="AuthenticationFailed")


def _apply(scene: Scene, pool: str, *, queue: Json, server: Served, most: int) -> None:
    """The pool, its Secret, and the program that its workers run."""
    for value in queue["credentials"].values():
        value["secretKeyRef"]["name"] = pool
    config = {"name": "recording-worker", "namespace": scene.namespace}
    data = {PROGRAM.name: PROGRAM.read_text()}
    scene.kubectl.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": config, "data": data}, _secret(scene, pool, server)
    )
    scene.apply(
        pool,
        queue=queue,
        worker={
            "command": ["python", f"{FOLDER}/{PROGRAM.name}"],
            "maxWorkers": 4,
            "env": [{"name": "RECORDS_URL", "value": scene.redis.url}, {"name": "RECORDS", "value": f"{pool}-records"}],
            "volumes": [{"name": "program", "configMap": {"name": "recording-worker"}}],
            "volumeMounts": [{"name": "program", "mountPath": FOLDER}],
        },
        scaling={"minReplicas": 0, "maxReplicas": most},
    )


def _secret(scene: Scene, name: str, server: Served) -> Json:
    metadata = {"name": name, "namespace": scene.namespace}
    data = {"username": USER, "password": server.password}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}


async def _put(server: Served, name: str) -> list[str]:
    """All at once; the ids of the jobs."""
    ids = [f"job-{number}" for number in range(JOBS)]
    async with Queue.connect(server.url_with_user, stream=name) as queue:
        for job_id in ids:
            await queue.enqueue("sleep", {"seconds": SECONDS}, job_id=job_id)
    return ids


async def _left(server: Served, name: str) -> tuple[int, int, int]:
    """Jobs that wait, that are in flight, and dead letters."""
    async with Queue.connect(server.url_with_user, stream=name) as queue:
        depth = await queue.depth()
        return depth.waiting, depth.in_flight or 0, depth.dead_letters or 0


def _told(scene: Scene, pool: str, event: str) -> Counter[str]:
    """Job -> how often this was told of it."""
    with scene.broker() as client:
        entries: Any = client.xrange(f"{pool}-records")
    return Counter(fields["job"] for _, fields in entries if fields["event"] == event)


def _wait_done(scene: Scene, pool: str, jobs: int) -> None:
    wait_for(
        lambda: len(_told(scene, pool, "finish")) >= jobs, seconds=150, what=f"{jobs} jobs of {pool} done", pause=0.3
    )
