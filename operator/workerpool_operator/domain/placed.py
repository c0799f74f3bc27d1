"""Whether a pool's workers are where they belong, as its condition `Placed` and its status say it."""

from datetime import datetime
from typing import Final

from workerpool_operator.api import ConditionStatus, PlacementStatus, Reason
from workerpool_operator.domain.judging import Case, Verdict
from workerpool_operator.domain.layout import moving
from workerpool_operator.domain.snapshot import Snapshot

_NAMED_NODES: Final = 5
"""In a sentence."""
_TOLD_NODES: Final = 16
"""In the status."""


def placed(case: Case) -> Verdict:
    """The verdict; there is always one."""
    places = case.snapshot.places
    if not places.role:
        if moving(case.snapshot):
            return Verdict(ConditionStatus.FALSE, Reason.MOVING, "workers leave the place that the pool named before")
        return Verdict(ConditionStatus.TRUE, Reason.NO_PLACES, "the pool names no places")
    if places.all_lost:
        return _lost(case)
    if moving(case.snapshot):
        return Verdict(ConditionStatus.FALSE, Reason.MOVING, f"workers move to the {places.role} place, one at a time")
    if places.unreadable and places.away is not None:
        message = (
            "the operator may not read Leases in kube-node-lease: workers of a lost node are made up for only when "
            "Kubernetes has evicted them. Install the chart with nodeLeases.enabled=true"
        )
        return Verdict(ConditionStatus.TRUE, Reason.LEASES_UNREADABLE, message)
    return Verdict(ConditionStatus.TRUE, Reason.PLACED, f"the workers are in the {places.role} place")


def _lost(case: Case) -> Verdict:
    places = case.snapshot.places
    count = f"{places.all_lost} workers of the {places.role} place"
    if any(held.calm_since is not None for held in places.held.values()):
        if places.returns:
            message = f"{count} are still made up for in the {places.other} one: its workers are back"
            return Verdict(ConditionStatus.FALSE, Reason.FAILING_BACK, message)
        name, namespace = case.snapshot.pool.name, case.snapshot.pool.namespace
        word = f"wpool migrate {name} --to {places.role} -n {namespace}"
        message = f"{count} are back; those in the {places.other} one stay until the pool is told: {word}"
        return Verdict(ConditionStatus.FALSE, Reason.FAILBACK_WAITS, message)
    nodes = ", ".join(places.nodes[:_NAMED_NODES]) + (", ..." if len(places.nodes) > _NAMED_NODES else "")
    why = f"nothing is heard of {nodes}" if nodes else "there is no room for them"
    message = f"{count} are lost ({why}): others run in the {places.other} one"
    return Verdict(ConditionStatus.FALSE, Reason.FAILED_OVER, message)


def placement_status(snapshot: Snapshot) -> PlacementStatus | None:
    """What the status says; None where the pool names no places."""
    places, before = snapshot.places, snapshot.pool.status.placement
    if not places.role:
        return None
    active = places.other if places.all_lost else places.role
    return PlacementStatus(
        active=active,
        since=_since(before, active, now=snapshot.wall_time),
        lost=places.all_lost,
        lost_nodes=places.nodes[:_TOLD_NODES],
    )


def _since(before: PlacementStatus | None, active: str, *, now: datetime) -> datetime:
    same = before is not None and before.active == active
    return before.since if same and before is not None and before.since is not None else now
