"""`spec.delivery` is live: each of its settings acts in workers that run, in the same pods, in time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pytest
from redis import Redis as RedisClient

from e2e.scene import SOON, Scene, templates
from e2e.support.wait import wait_for
from workerpool import JobSpec, Queue

PROMISED_SECONDS: Final = 5.0
NAME: Final = "live"
SLOTS: Final = 4
OPEN: Final[dict[str, Any]] = {
    "maxAttempts": 1000,
    "backoffSeconds": 0,
    "backoffMaxSeconds": 0,
    "leaseSeconds": 60,
    "concurrencyPerWorker": None,
    "rateLimitPerSecond": None,
    "tenantLimits": None,
    "shedAfterSeconds": None,
}
"""Nothing holds a job up. `None` takes a field away."""

FAILING: Final = {"seconds": 0.1, "fail_attempts": 10_000}


@dataclass(frozen=True)
class _Pool:
    """One worker, and what its Redis tells of it."""

    scene: Scene
    client: RedisClient

    def put_work(self, *, jobs: int) -> None:
        """Of 0.2 s each, of one tenant: the slots are at work for as long as the test goes on."""

        async def put() -> None:
            async with Queue.connect(self.scene.url, stream=NAME) as queue:
                await queue.enqueue_many(JobSpec("sleep", {"seconds": 0.2}, tenant="acme") for _ in range(jobs))

        asyncio.run(put())

    def change(self, settings: Mapping[str, Any]) -> None:
        """Let these be so from now on."""
        self.scene.patch(NAME, {"delivery": dict(settings)})

    def acts(self, settings: Mapping[str, Any], begins: Callable[[], bool]) -> None:
        """Change these, and see the effect begin in time."""
        self.change(settings)
        wait_for(begins, seconds=PROMISED_SECONDS, what=f"{settings} in the running worker", pause=0.05)

    def running(self) -> int:
        """Jobs that the worker holds."""
        return int(self._group()["pending"])

    def started(self) -> int:
        """Attempts that were ever given out."""
        return int(self._group()["entries-read"])

    def waiting(self) -> int:
        """Jobs that nobody has yet."""
        client: Any = self.client
        return int(client.hlen(f"{{{NAME}}}:backlog"))

    def delayed(self) -> int:
        """Jobs whose next attempt is not soon; one that is due at once is there for a moment, too."""
        client: Any = self.client
        return int(client.zcount(f"{{{NAME}}}:delayed", (time.time() + 10) * 1000, "+inf"))

    def leases(self) -> set[str]:
        """Lengths that workers announce, in milliseconds."""
        client: Any = self.client
        return set(client.hgetall(f"{{{NAME}}}:leases:{NAME}"))

    def dead(self, reason: str) -> bool:
        """Whether a job was given up for this."""
        return any(letter["dead.reason"] == reason for letter in self.scene.dead_letters(NAME))

    def gives_up(self) -> bool:
        """Whether one of the jobs that fail is given up. Each look brings one more: one too early is put off."""
        self.scene.put(NAME, "sleep", FAILING)
        return self.dead("max_attempts")

    def runs_at_most(self, jobs: int) -> bool:
        """Ten times in a row, over a time in which each of them ends and is followed by others."""
        return all(self._looks(jobs) for _ in range(10))

    def hardly_starts(self) -> bool:
        """Two jobs at the most in a second, in which the free worker begins 20."""
        before = self.started()
        time.sleep(1)
        return self.started() - before <= 2

    def _looks(self, jobs: int) -> bool:
        time.sleep(0.05)
        return self.running() <= jobs

    def _group(self) -> dict[str, Any]:
        client: Any = self.client
        (group,) = client.xinfo_groups(NAME)
        return dict(group)


@pytest.mark.core
def test_each_setting_acts_in_running_workers_in_time(scene: Scene) -> None:
    """Within 5 s of the change of the pool, without a new pod."""
    delivery = {key: value for key, value in OPEN.items() if value is not None}
    scene.apply(NAME, scaling={"minReplicas": 1, "maxReplicas": 1}, worker={"maxWorkers": SLOTS}, delivery=delivery)
    before = scene.wait_workers(NAME, 1)
    revisions = templates(scene, NAME)
    with scene.broker() as client:
        pool = _Pool(scene, client)
        pool.put_work(jobs=2000)
        for settings, holds in (
            ({"concurrencyPerWorker": 1}, lambda: pool.runs_at_most(1)),
            ({"tenantLimits": {"*": {"maxInFlight": 2}}}, lambda: pool.runs_at_most(2)),
            ({"rateLimitPerSecond": 1}, pool.hardly_starts),
        ):
            wait_for(lambda: pool.running() == SLOTS, seconds=SOON, what=f"all slots at work before {settings}")
            pool.acts(settings, holds)
            pool.acts(OPEN, lambda: pool.running() == SLOTS)
        pool.acts({"shedAfterSeconds": {"normal": 1}}, lambda: pool.dead("shed"))
        wait_for(lambda: not pool.waiting(), seconds=SOON, what="the rest of the work shed")
        pool.change(OPEN)
        for _ in range(3):  # a random wait may be too short to count, and too long to be drawn again in time
            scene.put(NAME, "sleep", FAILING)
        pool.acts({"leaseSeconds": 30}, lambda: "30000" in pool.leases())
        pool.acts({"backoffSeconds": 3600, "backoffMaxSeconds": 86_400}, lambda: pool.delayed() >= 1)
        pool.change({"backoffSeconds": 0, "backoffMaxSeconds": 0})
        pool.acts({"maxAttempts": 1}, pool.gives_up)
    assert scene.wait_workers(NAME, 1).keys() == before.keys()
    assert templates(scene, NAME) == revisions
