"""Whoever chooses the size, a canary changes nothing of it: who scales the pool sees the total, and no worker more."""

from typing import Any

import pytest

from tests.unit.domain.builders import NOW, child, deployment, memory, pool, revision, sample, sizes, snapshot
from tests.unit.domain.test_mode_hpa import autoscaler
from tests.unit.domain.test_mode_keda import with_keda
from workerpool_operator.api import WorkerPool
from workerpool_operator.domain import desired
from workerpool_operator.domain.cluster import ClusterFacts
from workerpool_operator.domain.plan import Plan, plan
from workerpool_operator.domain.snapshot import Snapshot
from workerpool_operator.domain.status import build

FACTS = ClusterFacts(kubernetes=(1, 36), serves_metric=True)
MODES = ("direct", "manual", "hpa", "keda")


def asking(image: str, *, mode: str, total: int, surge: int) -> WorkerPool:
    """Long since of this size, of which all are wanted: a job waits for each worker."""
    scaling = {"mode": mode, "targets": {"queueDepthPerReplica": 1}, "cooldownSeconds": 0}
    given = {"desired": total, "size": total, "mode": mode, "specReplicas": total}
    return pool(
        worker={"image": image},
        replicas=total,
        scaling=scaling,
        rollout={"strategy": "Canary", "surge": surge},
        status={"scaling": given, "observedGeneration": 1},
    )


def trying(mode: str, *, total: int, stable: int, canary: int, surge: int = 1) -> tuple[WorkerPool, Snapshot]:
    """A new version is asked for, and so many workers of both are there."""
    old, new = (asking(image, mode=mode, total=total, surge=surge) for image in ("web:1", "web:2"))
    scaler: dict[str, Any] = {"hpa": {"autoscaler": autoscaler(new)}, "keda": {"keda": with_keda(new, total)}}
    return new, snapshot(
        new,
        facts=FACTS,
        deployments=deployment(old, stable) | deployment(new, canary),
        revisions=revision(old) | revision(new),
        budget=child(desired.disruption_budget(new)),
        samples=(sample(total),),
        memory=memory(pods_listed_at=NOW),
        **scaler.get(mode, {}),
    )


def seen_by_the_scaler(seen: Snapshot, made: Plan) -> tuple[int, int, int | None]:
    """The size that is given, the one that the scale subresource tells, and what is written into spec.replicas."""
    return made.size, build(seen, made, refusals=()).replicas, made.replicas


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("total", "stable", "canary", "grows_to"),
    [(10, 10, 0, 1), (10, 10, 1, None), (10, 9, 1, None), (1, 1, 0, 1), (1, 1, 1, None)],
    ids=["begins", "one more is ready", "at its weight", "beside a single one", "beside a single one, there"],
)
def test_a_canary_leaves_the_total_as_it_is(*, mode: str, total: int, stable: int, canary: int, grows_to: int) -> None:
    of, seen = trying(mode, total=total, stable=stable, canary=canary)
    made = plan(seen)
    assert seen_by_the_scaler(seen, made) == (total, total, None)
    assert sizes(made) == ({desired.revision_for(of).name: grows_to} if grows_to else {})


@pytest.mark.parametrize("mode", MODES)
def test_a_larger_surge_is_not_seen_either(mode: str) -> None:
    _, seen = trying(mode, total=10, stable=10, canary=3, surge=5)
    assert seen_by_the_scaler(seen, plan(seen)) == (10, 10, None)
