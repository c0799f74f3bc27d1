"""Which of a pool's conditions tell of trouble: one rule for all that show pools.

Objects are as the API server gives them, of this operator's release or of another one.
A pool that waits for workers that were asked for is on its way, and in no trouble; one whose workers cannot come is,
although it is on its way too.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from workerpool_operator.api import ConditionType, Reason

Json = Mapping[str, Any]

_ORDER: Final = (
    (ConditionType.STALLED, "True"),
    (ConditionType.READY, "False"),
    (ConditionType.QUEUE_REACHABLE, "False"),
    (ConditionType.SCALING_ACTIVE, "False"),
    (ConditionType.PLACED, "False"),
    (ConditionType.CANARY_HEALTHY, "False"),
    (ConditionType.MONITORED, "False"),
)
"""What says the most comes first; the status that is trouble beside each."""
_STARTING: Final = frozenset({Reason.WORKERS_STARTING, Reason.NO_WORKERS})
_WISHED: Final = frozenset({Reason.ALERTS_DISABLED})
"""As somebody wants it."""
_LIGHT: Final = frozenset(
    {
        Reason.SUSPENDED,
        Reason.MOVING,
        Reason.FAILING_BACK,
        Reason.FAILBACK_WAITS,
        Reason.LEASES_UNREADABLE,
        Reason.PROMETHEUS_RULE_KIND_MISSING,
    }
)
"""Jobs are done, or wait because somebody said so: to be known, and no trouble."""
_WHATEVER: Final = frozenset({Reason.COLLECTOR_DOWN, Reason.LEASES_UNREADABLE})
"""Told whatever the status of their condition is: what it would say cannot be seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """One condition that is not as it should be."""

    type: str
    status: str
    reason: str
    message: str
    grave: bool
    """Whether something does not work; else it works, with less than there could be."""


def troubles(pool: Json) -> list[Trouble]:
    """Of a WorkerPool, the gravest first. Each cause once: what follows from another one is left out."""
    told = {one["type"]: one for one in _conditions(pool)}
    found: list[Trouble] = []
    for one in _in_order(told):
        if not _follows(one, found):
            found.append(one)
    return sorted(found, key=lambda one: not one.grave)


def _conditions(pool: Json) -> Sequence[Json]:
    return (pool.get("status") or {}).get("conditions") or ()


def _in_order(told: Mapping[str, Json]) -> Iterator[Trouble]:
    for kind, bad in _ORDER:
        one = told.get(kind, {})
        reason, status = str(one.get("reason") or ""), str(one.get("status") or "")
        if (status != bad and reason not in _WHATEVER) or reason in _WISHED:
            continue
        if kind is ConditionType.READY and _on_its_way(reason, told):
            continue
        message = str(one.get("message") or "no more is known")
        yield Trouble(type=kind, status=status, reason=reason, message=message, grave=reason not in _LIGHT)


def _on_its_way(reason: str, told: Mapping[str, Json]) -> bool:
    return reason in _STARTING and told.get(ConditionType.PROGRESSING, {}).get("status") == "True"


def _follows(one: Trouble, found: Sequence[Trouble]) -> bool:
    """What keeps all workers out is told as Stalled too, and the size is held because a queue cannot be read."""
    if one.type == ConditionType.READY:
        return any(other.reason == one.reason for other in found)
    unread = any(other.type == ConditionType.QUEUE_REACHABLE for other in found)
    return unread and one.type == ConditionType.SCALING_ACTIVE and one.reason == Reason.SAMPLES_STALE
