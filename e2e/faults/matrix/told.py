"""What a pool says of its trouble: by a condition, and by an event."""

from __future__ import annotations

from e2e.support.wait import NotInTimeError, until
from workerpool_operator.kube import Kube, ObjectRef
from workerpool_operator.kube.kinds import Kind

_EVENT = Kind("events.k8s.io", "v1", "events", "Event")


async def missing(kube: Kube, pool: ObjectRef, reason: str, *, seconds: float) -> list[str]:
    """Wait for a condition and an event that name this reason; give what is missing of them by then."""

    async def in_condition() -> bool:
        conditions = (await kube.get(pool)).get("status", {}).get("conditions", [])
        return any(one["reason"] == reason for one in conditions)

    async def in_event() -> bool:
        events = await kube.list(_EVENT, namespace=pool.namespace).all()
        return any(event.get("reason") == reason and event["regarding"]["name"] == pool.name for event in events)

    try:
        await until(in_condition, seconds=seconds, what=f"a condition because of {reason}")
        await until(in_event, seconds=seconds, what=f"an event {reason}")
    except NotInTimeError as error:
        return [str(error)]
    return []
