"""What a real shipper and a real Loki keep of workers that are gone, and that `wpool logs` finds it, once."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from e2e.cli import wpool
from e2e.scene import Scene
from e2e.shipping import stage
from e2e.shipping.files import SHIPPER
from e2e.shipping.stage import ClusterLoki
from e2e.support import pools
from e2e.support.stack import NAMESPACE, Stack
from e2e.support.wait import wait_for
from workerpool import JobSpec, Queue

pytestmark = pytest.mark.timeout(1800)  # Loki and the collector are built in a quarter of an hour, once

PROGRAM = Path(__file__).parent / "support" / "telling_worker.py"
FOLDER = "/program"
TENANT = "acme"
SHIPPED = 60.0
"""Seconds for a line to get from a pod to Loki: it takes two or three."""

Line = Mapping[str, Any]
Attempts = Counter[tuple[str, int]]


@pytest.fixture(scope="module")
def loki(stack: Stack) -> Iterator[ClusterLoki]:
    """A Loki that gets the lines of all nodes, by the files of examples/logs."""
    with stage.shipping(stack) as found:
        yield found


@dataclass(frozen=True)
class Pool:
    """Workers that write a line about each attempt at a job."""

    scene: Scene
    name: str

    @property
    def stream(self) -> str:
        """LogQL's selector of its namespace."""
        return f'{{k8s_namespace_name="{self.scene.namespace}"}}'

    def start(self, workers: int) -> list[str]:
        """Start so many, and give their names."""
        config = {"name": self.name, "namespace": self.scene.namespace}
        data = {PROGRAM.name: PROGRAM.read_text()}
        self.scene.kubectl.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": config, "data": data})
        worker: dict[str, Any] = {
            "command": ["python", f"{FOLDER}/{PROGRAM.name}"],
            "maxWorkers": 1,
            "volumes": [{"name": "program", "configMap": {"name": self.name}}],
            "volumeMounts": [{"name": "program", "mountPath": FOLDER}],
        }
        size = {"minReplicas": workers, "maxReplicas": workers}
        self.scene.apply(self.name, worker=worker, scaling=size, delivery={"backoffSeconds": 0})
        return [pod["metadata"]["name"] for pod in self.scene.wait_workers(self.name, workers).values()]

    def put(self, jobs: int, *, seconds: float = 0.1, fails: int = 0) -> Attempts:
        """Put so many jobs, the first of which fails so often; the attempts that they will take."""
        ids = [f"job-{secrets.token_hex(4)}" for _ in range(jobs)]

        def spec(job: str) -> JobSpec:
            payload = {"trace": secrets.token_hex(16), "seconds": seconds, "fails": fails if job == ids[0] else 0}
            return JobSpec("tell", payload, job_id=job, tenant=TENANT)

        async def put() -> None:
            async with Queue.connect(self.scene.url, stream=self.name) as queue:
                await queue.enqueue_many(map(spec, ids))

        asyncio.run(put())
        return Counter([*((job, 1) for job in ids), *((ids[0], 2 + again) for again in range(fails))])

    def logs(self, *words: str) -> list[dict[str, Any]]:
        """What `wpool logs` shows of it; what it cannot have at the moment is missing."""
        words = (self.name, "--namespace", self.scene.namespace, "--since", "1h", "--output", "json", *words)
        shown = wpool(self.scene, "logs", *words)
        assert shown.returncode in {0, 1}, shown.stderr
        return [json.loads(line) for line in shown.stdout.splitlines()]

    def wait_told(self, attempts: Attempts) -> None:
        """Wait until the workers that are there have written of all of these."""
        wait_for(lambda: told(self.logs()) == attempts, seconds=90, what="a line about each attempt", pause=1)

    def stop(self) -> None:
        """Let all workers go, and wait until nothing is left of their pods."""
        scene = self.scene
        scene.patch(self.name, {"suspend": True})
        wait_for(lambda: not pools.pods(scene.kubectl, scene.namespace, self.name), seconds=90, what="no pod")


def told(lines: Iterable[Line]) -> Attempts:
    """The attempts that lines tell of, each as often as it is told."""
    return Counter((line["job_id"], line["attempt"]) for line in lines if line["event"] == "told")


def of(lines: Iterable[Line], worker: str) -> list[Line]:
    """Those of one worker."""
    return [line for line in lines if line["worker"] == worker]


def ended(lines: Iterable[Line]) -> set[str]:
    """The workers that have said their last words."""
    return {line["worker"] for line in lines if line["event"] == "drained"}


def test_lines_of_a_worker_that_is_gone_come_from_loki_and_no_line_twice(loki: ClusterLoki, scene: Scene) -> None:
    """The others are told by the kubelet; chosen by job, version, worker and level as those of the living are."""
    pool = Pool(scene, "told")
    doomed, _ = pool.start(2)
    attempts = pool.put(30, fails=1)
    pool.wait_told(attempts)
    theirs = of(pool.logs(), doomed)
    assert told(theirs)
    scene.kubectl.delete("pod", doomed, namespace=scene.namespace)
    scene.wait_workers(pool.name, 2)
    assert not of(pool.logs(), doomed)
    found = shipped(pool, loki, attempts)
    assert [line for line in of(found, doomed) if line in theirs] == theirs
    assert doomed in ended(found)
    assert len(found) == len({json.dumps(line) for line in found})
    one = next(line for line in theirs if line["event"] == "told")
    asked = ("--loki", loki.url, "--worker", doomed)
    assert one in pool.logs(*asked, "--job", one["job_id"])
    assert {line["job_id"] for line in pool.logs(*asked, "--job", one["job_id"])} == {one["job_id"]}
    assert pool.logs(*asked, "--version", one["version"]) == of(found, doomed)
    assert not pool.logs(*asked, "--version", "00000000")
    failures = [line for line in pool.logs("--loki", loki.url, "--level", "warning") if line.get("attempt") == 1]
    assert [line["level"] for line in failures] == ["warning"]
    assert not pool.logs(*asked, "--loki-label", "no_such_label")


def test_loki_finds_lines_by_each_key_of_the_schema(loki: ClusterLoki, scene: Scene) -> None:
    """Of workers, of the operator and of the collector."""
    pool = Pool(scene, "keys")
    pool.start(1)
    pool.wait_told(pool.put(2))
    one = next(line for line in pool.logs() if line["event"] == "told")
    assert (one["pool"], one["tenant"], one["attempt"]) == ("keys", TENANT, 1)
    for key in ("pool", "version", "worker", "job_id", "job_type", "trace_id", "attempt", "tenant", "level", "event"):
        query = f'{pool.stream} | json | {key}="{one[key]}"'
        wait_for(lambda: one in loki.lines(query), seconds=SHIPPED, what=query, pause=1)  # noqa: B023
    where = f'namespace="{scene.namespace}"'
    for query in (
        f'{{k8s_namespace_name="{NAMESPACE}", k8s_container_name="operator"}} | json | pool="keys" | {where}',
        f'{{k8s_namespace_name="{scene.namespace}", k8s_container_name="collector"}} | json | {where}',
    ):
        wait_for(lambda: loki.lines(query), seconds=SHIPPED, what=query, pause=1)  # noqa: B023


def test_a_shipper_that_is_restarted_loses_and_repeats_nothing(loki: ClusterLoki, scene: Scene) -> None:
    """Nor does the end of the pods that wrote: their last words are there."""
    pool = Pool(scene, "restarted")
    workers = pool.start(3)
    attempts = pool.put(120, seconds=0.3)
    wait_for(lambda: told(pool.logs()), seconds=60, what="the first line", pause=0.5)
    scene.kubectl.delete("pods", "--selector=app=log-shipper", namespace=SHIPPER)
    pool.wait_told(attempts)
    scene.kubectl.rollout(f"daemonset/{SHIPPER}", namespace=SHIPPER)
    pool.stop()
    found = shipped(pool, loki, attempts)
    # As often as Loki has them, while `wpool logs` would leave out what is there twice.
    assert told(loki.lines(f'{pool.stream} |= "restarted" | json | pool="restarted"')) == attempts
    assert ended(found) == set(workers)


def test_lines_of_workers_that_went_while_loki_was_away_come_when_it_is_back(loki: ClusterLoki, scene: Scene) -> None:
    """The shipper keeps them on the node's disk."""
    pool = Pool(scene, "late")
    with loki.away():
        workers = pool.start(2)
        attempts = pool.put(20)
        pool.wait_told(attempts)
        pool.stop()
    found = shipped(pool, loki, attempts)
    assert {line["worker"] for line in found} == set(workers)


def shipped(pool: Pool, loki: ClusterLoki, attempts: Attempts) -> Sequence[Line]:
    """Wait until `wpool logs` with that Loki tells of these attempts, each once, and of the end of who is gone."""

    def complete() -> list[dict[str, Any]]:
        found = pool.logs("--loki", loki.url)
        there = {pod["metadata"]["name"] for pod in pools.pods(pool.scene.kubectl, pool.scene.namespace, pool.name)}
        gone = {line["worker"] for line in found} - there
        return found if told(found) == attempts and gone <= ended(found) else []

    return wait_for(complete, seconds=SHIPPED, what=f"lines of {len(attempts)} attempts", pause=1)
