"""Apps of other libraries as pools on real pods: from 0 by depth, smaller in the midst of their jobs, and to 0 again.

Their images hold the library, this tree's SDK and the app of e2e/adapters, whose own producer enqueues the jobs from
this machine. What workers as processes show is in test_adapters.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlsplit

import pytest

from e2e.adapters.figures import parse, wrong
from e2e.adapters.jobs import Jobs
from e2e.adapters.libraries import APPS_UNDER_TEST, App
from e2e.scene import Scene
from e2e.support import images, pools
from e2e.support.kubectl import Json, KubectlError
from e2e.support.wait import wait_for

pytestmark = [pytest.mark.adapters, pytest.mark.timeout(600)]

FLAKY: Final = 3
HELD_SECONDS: Final = 200.0
"""A job that the test releases before."""
ABANDONED_SECONDS: Final = 90
"""Longer than any job and the wait behind it: else others take it for abandoned."""


@pytest.mark.parametrize("app", APPS_UNDER_TEST, ids=lambda app: app.name)
def test_an_adapted_app_is_sized_by_depth_and_drained_without_a_loss(scene: Scene, app: App) -> None:
    """Every job is begun once and done, whatever happens to the workers, and each of these ends with 0."""
    pool = _Pool(scene=scene, app=app)
    with scene.watching_ends(pool.name) as ends:
        pool.does_its_first_jobs_on_one_worker()
        pool.is_made_smaller_at_work()
        job = pool.stops_idle_workers_first()
        pool.finishes_the_job_of_a_deleted_pod(job)
        pool.resize(least=0, most=1)
        wait_for(lambda: not pool.pods(), seconds=90, what=f"no pods left in pool {pool.name}")
    assert (pool.jobs.missing(), pool.jobs.repeated()) == (0, 0), pool.jobs.said()
    assert {pod: end["exitCode"] for pod, end in ends.items() if end["exitCode"]} == {}
    last = [json.loads(end["message"]) for end in ends.values() if "message" in end]
    total = {name: sum(figures[name] for figures in last) for name in ("first_attempts", "failed", "interrupted")}
    assert total == {"first_attempts": len(pool.jobs), "failed": FLAKY, "interrupted": 0}, ends


class _Pool:
    """A pool of an app's workers, and its jobs."""

    def __init__(self, *, scene: Scene, app: App) -> None:
        number = 1 + APPS_UNDER_TEST.index(app)
        self.name = f"{app.library} {app.variant}".strip().replace(" ", "-").lower()
        self.jobs = Jobs(replace(app, abandoned_seconds=ABANDONED_SECONDS), _database(scene.url, number))
        self._scene = scene
        self._app = app
        self._redis = _database(scene.redis.url, number)

    def does_its_first_jobs_on_one_worker(self) -> None:
        """From 0; then its metrics tell of each of them."""
        self._apply()
        self._scene.wait_condition(self.name, "Ready", status="True", reason="ScaledToZero")
        self._scene.wait_condition(self.name, "QueueReachable", status="True", reason="SamplesFresh")
        self.jobs.put("flaky", 0.0, FLAKY)
        self.jobs.put("work", 0.01, 10)
        [worker] = self._scene.wait_workers(self.name, 1, seconds=90).values()
        self.resize(least=1, most=1)
        self._wait_done(seconds=60 + 2 * ABANDONED_SECONDS)
        wait_for(lambda: self._figures(worker)["worker_jobs_in_progress"] == 0, seconds=20, what="nothing in progress")
        figures = self._figures(worker)
        found = wrong(figures, jobs=len(self.jobs), flaky=FLAKY, slots=self._app.slots)
        assert not found, f"these metrics are wrong after {len(self.jobs)} jobs: {found}"

    def is_made_smaller_at_work(self) -> None:
        """By depth to 3 workers; to 2 while each of them has jobs, which the operator sees."""
        self.resize(least=1, most=3)
        # More than all three hold, prefetched ones too, so that each of them has some until they are released.
        held = self.jobs.put("work", HELD_SECONDS, 9 * self._app.slots)
        self.jobs.put("work", 1.0, 9 * self._app.slots)
        names = _names(self._scene.wait_workers(self.name, 3, seconds=90))
        wait_for(lambda: self.jobs.running_on().keys() >= names, seconds=30, what="jobs on each of the workers")
        self.resize(least=2, most=2)
        wait_for(lambda: self._status()["scaling"]["size"] == 2, seconds=20, what="the pool to be made smaller")
        wait_for(lambda: self._in_flight() >= 3 * self._app.slots, seconds=60, what="all that run in the status")
        self.jobs.release(*held)
        self._scene.wait_workers(self.name, 2, seconds=90)
        self._wait_done(seconds=150)

    def stops_idle_workers_first(self) -> str:
        """Of two workers the one that has a job stays. Gives the job, which runs on."""
        [job] = self.jobs.put("work", HELD_SECONDS, 1)
        busy = wait_for(self.jobs.running_on, seconds=30, what="the long job at work").keys()
        self.resize(least=1, most=1)
        left = self._scene.wait_workers(self.name, 1)
        assert _names(left) == busy
        assert self.jobs.missing() == 1
        return job

    def finishes_the_job_of_a_deleted_pod(self, job: str) -> None:
        """SIGTERM by kubelet in its midst: the same worker brings it to its end."""
        [busy] = self.jobs.running_on()
        self._scene.kubectl.delete("pod", busy, namespace=self._scene.namespace, wait=False)
        wait_for(lambda: not self._is_ready(busy), seconds=20, what=f"{busy} draining")
        self.jobs.release(job)
        self._wait_done(seconds=30)
        assert self.jobs.said()[-1] == ("done", job, busy)

    def resize(self, *, least: int, most: int) -> None:
        """Change the limits of its size."""
        self._scene.patch(self.name, {"scaling": {"minReplicas": least, "maxReplicas": most}})

    def pods(self) -> list[Json]:
        """All that are there, stopping ones too."""
        return pools.pods(self._scene.kubectl, self._scene.namespace, self.name)

    def _apply(self) -> None:
        self._scene.apply(
            self.name,
            image=images.ensure(self._scene.stack.cluster, images.adapted(self._app.library.lower())),
            queue=self._app.queue(self._redis),
            worker={
                "command": self._app.worker("python"),
                "maxWorkers": self._app.slots,
                "drainTimeoutSeconds": 30,
                "env": [
                    {"name": "ADAPTERS_REDIS", "value": self._redis},
                    {"name": "ABANDONED_SECONDS", "value": str(ABANDONED_SECONDS)},
                ],
            },
            scaling={"minReplicas": 0, "maxReplicas": 1, "targets": {"queueDepthPerReplica": 1}},
        )

    def _figures(self, worker: Json) -> dict[str, float]:
        metadata = worker["metadata"]
        labels = {"pool": self.name, "version": metadata["labels"]["workerpool.dev/version"]}
        return parse(self._ask(metadata["name"], 8000, "metrics"), labels=labels, lane=self._app.lane)

    def _in_flight(self) -> int:
        return sum(version.get("inFlight", 0) for version in self._status()["versions"])

    def _status(self) -> Json:
        return self._scene.status(self.name)

    def _is_ready(self, pod: str) -> bool:
        try:
            return self._ask(pod, 8080, "ready").strip() == "ok"
        except KubectlError:
            return False

    def _ask(self, pod: str, port: int, path: str) -> str:
        return self._scene.kubectl.raw(f"/api/v1/namespaces/{self._scene.namespace}/pods/{pod}:{port}/proxy/{path}")

    def _wait_done(self, *, seconds: float) -> None:
        wait_for(lambda: not self.jobs.missing(), seconds=seconds, what=f"all jobs of {self.name} done", pause=0.3)


def _database(url: str, number: int) -> str:
    """One of this Redis, for one app alone: the keys of several may have the same names."""
    return urlsplit(url)._replace(path=f"/{number}").geturl()


def _names(workers: Mapping[str, Any]) -> set[str]:
    return {pod["metadata"]["name"] for pod in workers.values()}
