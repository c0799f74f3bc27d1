"""What the judges of conditions say of a pool, and pools that they are to judge."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from tests.unit.domain.builders import deployment, pool, sample, settled
from workerpool_operator.api import Condition, ConditionStatus, ConditionType, Reason
from workerpool_operator.domain.conditions import judge_all
from workerpool_operator.domain.judging import Case, Refusal
from workerpool_operator.domain.plan import plan
from workerpool_operator.domain.snapshot import Child, Snapshot

TRUE, FALSE, UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN
READY, PROGRESSING = ConditionType.READY, ConditionType.PROGRESSING
SCALING_ACTIVE, QUEUE_REACHABLE, STALLED = (
    ConditionType.SCALING_ACTIVE,
    ConditionType.QUEUE_REACHABLE,
    ConditionType.STALLED,
)
EARLIER = datetime(2025, 12, 24, tzinfo=UTC)


def judged(seen: Snapshot, kind: ConditionType, *, refusals: Sequence[Refusal] = ()) -> Condition:
    todo = plan(seen)
    assert not todo.wants_pods, "such a plan is void: nothing is told of it"
    case = Case(snapshot=seen, plan=todo, refusals=refusals)
    found = judge_all(case, before=seen.pool.status.conditions, now=seen.wall_time)
    assert [condition.type for condition in found] == list(ConditionType)
    return next(condition for condition in found if condition.type == kind)


def verdict(seen: Snapshot, kind: ConditionType, **more: Any) -> tuple[ConditionStatus, str]:
    condition = judged(seen, kind, **more)
    return condition.status, condition.reason


def said(kind: ConditionType, status: ConditionStatus, reason: Reason, message: str = "") -> dict[str, Any]:
    """The status of a pool with this condition, written by somebody earlier."""
    condition = {"type": kind, "status": status, "reason": reason, "message": message}
    return {"conditions": [{**condition, "lastTransitionTime": EARLIER.isoformat(), "observedGeneration": 1}]}


def starting(ready: int = 0, *, wanted: int = 3, **more: Any) -> Snapshot:
    """A pool with `ready` of its workers."""
    web = more.pop("of", pool())
    children: Mapping[str, Child] = deployment(web, wanted, ready=ready)
    return settled(web, wanted, **({"deployments": children, "samples": (sample(20 * wanted),)} | more))
