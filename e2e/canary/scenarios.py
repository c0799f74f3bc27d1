"""What a new version does, and what has to become of it. Each scenario makes one pool, of its own name.

The time that a verdict may take is twice the median of the judge's table (docs/explanation/canary.md): with 50 canary
jobs a minute, of which 1 % fail at a good version, it is 9 minutes for one as good and 3 for one that fails five times
as often. Four times as many jobs take a quarter of that. One that takes nothing has missed 50 jobs after a minute.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from e2e.canary.aftermath import Aftermath, operator_dies_as_it_goes
from e2e.canary.faults import Fault, node_is_lost, operator_dies_in_each_step
from e2e.canary.feeding import feeding
from e2e.scene import Scene
from e2e.support import images
from e2e.support.wait import wait_for
from e2e.test_bare import BARE

SUPPORT: Final = Path(__file__).parent.parent / "support"
SDK_PROGRAM: Final = SUPPORT / "canary_worker.py"
EATING_PROGRAM: Final = SUPPORT / "eating_worker.py"
FOLDER: Final = "/program"
FAILING_PERCENT: Final = 1
SLOW: Final = 2.0
"""Times what a job takes. The version that is slow takes three times that."""
LOST_SECONDS: Final = 90.0
"""What was under way comes back by its lease, and is tried again with backoff."""
BEGIN_SECONDS: Final = 120.0
"""For the canary's first worker to be ready, on a machine that starts many."""
WEIGHTS: Final = (25, 50)
GOOD, BAD = "Promoted", "RolledBack"


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A version, how many jobs there are, and what has to become of it."""

    name: str
    conduct: str
    expected: str = BAD
    jobs_per_minute: float = 200.0
    """Of both versions together."""
    job_seconds: float = 1.0
    """Long beside what a machine at its limit adds: else good versions are slow too, now and then, all at once."""
    seconds: float = 360.0
    """That the verdict may take."""
    workers: int = 4
    weights: tuple[int, ...] = WEIGHTS
    """Of the steps."""
    worker: Mapping[str, Any] = field(default_factory=dict)
    """What else changes with the version."""
    fault: Fault | None = None
    """What happens meanwhile."""
    aftermath: Aftermath | None = None
    """What happens, and has to hold, when the verdict is there."""


SCENARIOS: Final = (
    Scenario(name="good", conduct="good", expected=GOOD, jobs_per_minute=800.0, seconds=270.0),
    Scenario(name="failing", conduct="failing", jobs_per_minute=500.0, workers=10, weights=(10, 10)),
    Scenario(name="slow", conduct="slow"),
    Scenario(name="crashing", conduct="crashing"),
    Scenario(name="half", conduct="half"),
    Scenario(name="deaf", conduct="deaf", seconds=120.0),
    Scenario(name="eating", conduct="", worker={"command": ["python", f"{FOLDER}/{EATING_PROGRAM.name}"]}),
)


_GOOD: Final[Mapping[str, Any]] = {"conduct": "good", "expected": GOOD, "jobs_per_minute": 800.0, "workers": 6}
FAULTY: Final = (
    Scenario(name="good-operator-killed", seconds=390.0, fault=operator_dies_in_each_step, **_GOOD),
    Scenario(
        name="failing-operator-killed",
        conduct="failing",
        jobs_per_minute=500.0,
        job_seconds=2.0,  # so that canaries are at work when they are to go
        seconds=480.0,
        workers=10,
        weights=(10, 10),
        fault=operator_dies_in_each_step,
        aftermath=operator_dies_as_it_goes,
    ),
    Scenario(name="good-node-lost", seconds=510.0, fault=node_is_lost, **_GOOD),
)
"""The same verdict, a minute later for each restart of the operator (its Lease lapses, and workers warm up again), and
four for the node that is away. One after the other: each concerns the whole cluster."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """What became of a version."""

    scenario: str
    verdict: str
    expected: str
    seconds_to_verdict: float
    """Since the canary's first worker was ready."""
    seconds_allowed: float
    jobs: int
    jobs_per_minute: float
    jobs_lost: int

    @property
    def ok(self) -> bool:
        """Whether all is as it has to be."""
        return self.verdict == self.expected and not self.jobs_lost and self.seconds_to_verdict <= self.seconds_allowed


def play(scenario: Scenario, scene: Scene) -> Row:
    """Make the pool, change its version, and see."""
    pool = f"canary-{scenario.name}"
    _apply(scene, pool, scenario, _worker(scenario, pool, "good", release=1))
    scene.wait_workers(pool, scenario.workers, seconds=BEGIN_SECONDS)
    stable = wait_for(lambda: _rollout(scene, pool).get("stable"), seconds=30, what="a stable version")
    per_minute, seconds = scenario.jobs_per_minute, scenario.job_seconds
    with scene.watching_ends(pool) as ends, feeding(scene, pool, per_minute=per_minute, seconds=seconds) as feed:
        changed = _worker(scenario, pool, scenario.conduct, release=2) | dict(scenario.worker)
        if scenario.worker:
            changed["image"] = images.ensure(scene.stack.cluster, BARE)
        _apply(scene, pool, scenario, changed)
        wait_for(lambda: _rollout(scene, pool).get("canary"), seconds=30, what="a canary")
        began = _ready_since(scene, pool)
        if scenario.fault is not None:
            scenario.fault(scene, pool, len(scenario.weights))
        verdict = _verdict(scene, pool, stable=stable, seconds=scenario.seconds)
        took = time.monotonic() - began
        if scenario.aftermath is not None:
            scenario.aftermath(scene, pool, ends)
        lost = feed.lost(seconds=LOST_SECONDS)
    return Row(
        scenario=scenario.name,
        verdict=verdict,
        expected=scenario.expected,
        seconds_to_verdict=round(took, 1),
        seconds_allowed=scenario.seconds,
        jobs=feed.jobs,
        jobs_per_minute=scenario.jobs_per_minute,
        jobs_lost=lost,
    )


def _worker(scenario: Scenario, pool: str, conduct: str, *, release: int) -> dict[str, Any]:
    env = {
        "RELEASE": str(release),
        "CONDUCT": conduct,
        "FAILING": str(FAILING_PERCENT),
        "SLOW_JOB_SECONDS": str(SLOW * scenario.job_seconds),
    }
    return {
        "command": ["python", f"{FOLDER}/{SDK_PROGRAM.name}"],
        "maxWorkers": 8,
        "env": [{"name": name, "value": value} for name, value in env.items()],
        "volumes": [{"name": "programs", "configMap": {"name": pool}}],
        "volumeMounts": [{"name": "programs", "mountPath": FOLDER}],
    }


def _apply(scene: Scene, pool: str, scenario: Scenario, worker: dict[str, Any]) -> None:
    config = {"name": pool, "namespace": scene.namespace}
    data = {path.name: path.read_text() for path in (SDK_PROGRAM, EATING_PROGRAM)}
    scene.kubectl.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": config, "data": data})
    size = {"minReplicas": scenario.workers, "maxReplicas": scenario.workers}
    steps = [{"weight": weight, "minJobs": 20, "durationSeconds": 20} for weight in scenario.weights]
    rollout = {"strategy": "Canary", "steps": steps, "analysis": {"warmupSeconds": 5}}
    scene.apply(pool, worker=worker, scaling=size, rollout=rollout)


def _rollout(scene: Scene, pool: str) -> dict[str, Any]:
    found: dict[str, Any] = scene.status(pool).get("rollout") or {}
    return found


def _ready_since(scene: Scene, pool: str) -> float:
    """When the canary's first worker was ready. Figures in the status may be half a minute old; this is not."""

    def begun() -> bool:
        versions = scene.status(pool).get("versions", [])
        return any(one["role"] == "canary" and one.get("readyReplicas", 0) > 0 for one in versions)

    wait_for(begun, seconds=BEGIN_SECONDS, what="a ready worker of the canary")
    return time.monotonic()


def _verdict(scene: Scene, pool: str, *, stable: str, seconds: float) -> str:
    """What became of the canary; what the rollout says of it where it is not over."""
    try:
        wait_for(lambda: not _rollout(scene, pool).get("canary"), seconds=seconds, what="the end of the canary")
    except TimeoutError:
        rollout = _rollout(scene, pool)
        return f"{rollout.get('verdict')} {rollout.get('wait')} in step {rollout.get('step')}"
    rollout = _rollout(scene, pool)
    if rollout["stable"] != stable:
        return GOOD
    return BAD if rollout["wanted"] in rollout.get("rejected", ()) else "Withdrawn"
