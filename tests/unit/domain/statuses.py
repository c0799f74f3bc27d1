"""What the tests of the status and of its announcements share: an operator that looks, writes, and looks again."""

from dataclasses import replace
from typing import Any

from tests.unit.domain.builders import NOW, deployment, memory, pool, revision, sample, settled
from workerpool_operator.api import WorkerPoolStatus
from workerpool_operator.domain.judging import Refusal
from workerpool_operator.domain.plan import plan
from workerpool_operator.domain.scaling import Report
from workerpool_operator.domain.snapshot import Snapshot
from workerpool_operator.domain.status import build

ROLLING = {"strategy": "Rolling"}
OLD, NEW = pool(rollout=ROLLING), pool(rollout=ROLLING, worker={"image": "web:2"}, generation=2)


def status_of(seen: Snapshot, *, refusals: tuple[Refusal, ...] = ()) -> WorkerPoolStatus:
    todo = plan(seen)
    assert not todo.wants_pods, "such a plan is void: nothing is told of it"
    return build(seen, todo, refusals=refusals)


def after(status: WorkerPoolStatus, seen: Snapshot) -> Snapshot:
    """The same moment, seen by an operator that has written this status."""
    return replace(seen, pool=seen.pool.changed(status=status))


def report(uid: str, *, in_flight: int = 0, version: str = "", **more: Any) -> Report:
    base = Report(
        uid=uid, age=0.0, in_flight=in_flight, fence="", fenceable=True, connected=True, version=version, remaining=None
    )
    return replace(base, **more)


def takeover(**more: Any) -> Snapshot:
    """Three workers of the old version, and the first of the new one."""
    base: dict[str, Any] = {
        "samples": (sample(60),),
        "deployments": deployment(OLD, 3) | deployment(NEW, 1),
        "revisions": revision(OLD) | revision(NEW),
        "memory": memory(pods_listed_at=NOW),
    }
    return settled(NEW, 0, **(base | more))
