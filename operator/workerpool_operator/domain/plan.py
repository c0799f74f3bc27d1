"""From a snapshot to everything that should be done about it. Pure: the same snapshot gives the same plan.

Order of thought: how many workers (`size_of`), of which version (`desired.hashes`), how the number moves between
versions (`versions.choose`), who goes (`scaling.step`), and only then which objects differ from what they should
be. A plan may be cut off after any of its writes: the next one starts from what is then observed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from workerpool_operator.domain import desired, objects
from workerpool_operator.domain.care import Care, assess, choose_one
from workerpool_operator.domain.layout import counted, groups
from workerpool_operator.domain.objects import Apply, Delete
from workerpool_operator.domain.rollout import Counts
from workerpool_operator.domain.rules import overrides_of
from workerpool_operator.domain.scaling import (
    GROWING_LIST_SECONDS,
    PARTING_RECHECK_SECONDS,
    Claim,
    Decision,
    Drain,
    Ebb,
    Followed,
    Outcome,
    ScaleInStep,
    Sizing,
    Worker,
    judge,
    step,
)
from workerpool_operator.domain.scaling.drains import LIST_SECONDS as DRAIN_LIST_SECONDS
from workerpool_operator.domain.scaling.drains import LOOK_SECONDS as DRAIN_LOOK_SECONDS
from workerpool_operator.domain.scaling.drains import leaver as next_leaver
from workerpool_operator.domain.seating import claim_of, remembered, seat
from workerpool_operator.domain.sharing import shares_of
from workerpool_operator.domain.shields import Shielding, ShieldOrder, shield
from workerpool_operator.domain.size import size_of
from workerpool_operator.domain.snapshot import Memory, Snapshot
from workerpool_operator.domain.versions import LOOK_SECONDS, Versions

POD_LIST_INTERVAL_SECONDS: Final = 0.2
"""Scale-in lists the pool's pods at most this often, however fast its workers report."""
TROUBLE_AFTER_SECONDS: Final = 5.0
TROUBLE_INTERVAL_SECONDS: Final = 15.0
TROUBLE_INTERVAL_MAX_SECONDS: Final = 300.0
"""Pods that stay unready are looked at for a reason: after 5 s, then ever less often, so that thousands of pools that
wait for nodes do not each list their pods every few seconds. None that has not been made is looked for."""
ACCOUNT_LOOK_SECONDS: Final = 15.0
"""A pool whose service account may not be used looks so often whether it has become another one."""
LONGEST_POD_START_SECONDS: Final = 300.0
"""A pool that took longer to become ready was in trouble, which says nothing about how long a start takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Set (or with None take away) a pod's deletion cost."""

    pod: str
    uid: str
    cost: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FenceOrder:
    """The whole set of pods (uids) that must take nothing more."""

    fence_id: str
    pods: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaled:
    """A Deployment's size changes."""

    deployment: str
    before: int
    after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to do. `wants_pods`: the plan is void, make it again with the pool's pods listed."""

    decision: Decision
    size: int
    """What the pool is brought to: what was decided, or in modes hpa and keda as much as the HPA has asked for."""
    followed: Followed | None = None
    """In modes hpa and keda."""
    claim: Claim | None = None
    """What the pool tells its budget."""
    short_of_seats: bool = False
    """Whether the budget keeps the pool from what was decided, or from changing its version."""
    versions: Versions | None = None
    """None: the pool's objects cannot be rendered, or the plan is void."""
    memory: Memory
    applies: tuple[Apply, ...] = ()
    marks: tuple[Mark, ...] = ()
    shields: tuple[ShieldOrder, ...] = ()
    deletes: tuple[Delete, ...] = ()
    fence: FenceOrder | None = None
    read_now: bool = False
    replicas: int | None = None
    """Write this into spec.replicas: somebody else sets the size from now on, or an HPA has to start from it."""
    scaled: tuple[Scaled, ...] = ()
    mistaken: int = 0
    waiting_for: int = 0
    care: Care = field(default_factory=Care)
    restarted: str = ""
    """Name of the pod of a stuck worker that is restarted: it is among the deletes."""
    drained: str = ""
    """The same of a worker that leaves a node which a person empties."""
    corrected: tuple[str, ...] = ()
    """Objects that somebody changed, and that are put back."""
    problem: str = ""
    """Why the pool's objects cannot be rendered; nothing is applied then, and nothing is taken down."""
    wants_pods: bool = False
    look_again: float | None = None
    started_versions: tuple[str, ...] = ()
    """Deployments that are made for the first time."""


def plan(snapshot: Snapshot) -> Plan:
    """The plan for this snapshot."""
    sized = size_of(snapshot)
    decision, followed, size = sized.decision, sized.followed, sized.size
    held = remembered(snapshot)
    memory = replace(
        snapshot.memory,
        history=decision.history,
        hpa=followed.memory if followed else None,
        seats=held,
        held=snapshot.places.held,
        shares=shares_of(snapshot),
    )
    draft = Plan(
        decision=decision,
        size=size,
        followed=followed,
        replicas=sized.replicas,
        memory=memory,
        claim=claim_of(snapshot, held, wanted=decision.wanted),
        look_again=_earliest([decision.look_again, memory.shares.look_again]),
    )
    try:
        target = _target(snapshot)
        seating = seat(snapshot, held, target=target, wanted=decision.wanted, size=size)
        size, versions = seating.size, seating.versions
        for name in snapshot.revisions.keys() & {*versions.holding, *groups(snapshot)}:
            desired.stored_template(snapshot.revisions[name].body)
    except desired.RenderError as error:
        again = _earliest([draft.look_again, None if snapshot.account_usable else ACCOUNT_LOOK_SECONDS])
        return replace(draft, problem=str(error), look_again=again)
    memory = replace(memory, rollout=versions.rollout, seats=seating.seats)
    memory = _remember_readiness(snapshot, memory, holding=versions.holding, wanted=size)
    counts = versions.counts
    shedding = _shedding(snapshot)
    whole = memory.unready_since is None and not (memory.scale_in.lowered or shedding)
    care, memory = assess(snapshot, memory, whole=whole)
    drains = overrides_of(snapshot.pool).draining(wall=snapshot.wall_time)
    leaving = care.due or bool(drains)
    ebb = _ebb(snapshot, size=size, soon=sized.soon)
    scaling_in = memory.scale_in.fenced or memory.scale_in.lowered or memory.scale_in.marked_at
    taking_away = bool(counts.remove or ebb.count or scaling_in or leaving) or shedding
    list_wait = _list_wait(snapshot, hurry=bool(counts.remove or ebb.count or care.due), draining=bool(drains))
    troubled, trouble_at = _wants_trouble(memory, now=snapshot.now)
    seats_due = seating.list_in is not None and seating.list_in <= 0
    shields = _shields(snapshot, memory)
    if snapshot.pods is None and (troubled or seats_due or shields.wants_pods or (taking_away and list_wait <= 0)):
        return replace(draft, wants_pods=True)
    workers = _workers(snapshot)
    memory = choose_one(snapshot, memory, care, workers)
    scale_in = (
        _scale_in(snapshot, memory, workers, counts=counts, ebb=ebb, drains=drains)
        if taking_away and snapshot.pods is not None
        else None
    )
    if scale_in is not None:
        memory = _remember_step(snapshot, memory, scale_in)
    if snapshot.pods is not None:
        memory = replace(memory, pods_listed_at=snapshot.now)
    memory = replace(memory, shields=shields.memory)
    sizes = _sizes(snapshot, counts=counts, scale_in=scale_in)
    answer = decision.desired if decision.outcome in {Outcome.ACTIVE, Outcome.PARTIAL} else None
    applies = objects.applies(snapshot, target=target, holding=versions.holding, sizes=sizes, answer=answer)
    moments = [draft.look_again, trouble_at, care.look_again, scale_in.look_again if scale_in else None]
    moments += [LOOK_SECONDS] if versions.canary else []
    moments += [shields.look_again, overrides_of(snapshot.pool).changes_in(wall=snapshot.wall_time)]
    moments += [followed.look_again if followed else None, snapshot.places.look_again]
    moments += [max(seating.list_in, GROWING_LIST_SECONDS / 2)] if seating.list_in is not None else []
    moments += [DRAIN_LOOK_SECONDS] if drains else []
    if taking_away and scale_in is None:
        moments.append(list_wait)
    return replace(
        draft,
        size=size,
        claim=seating.claim,
        short_of_seats=seating.short,
        versions=versions,
        memory=memory,
        applies=applies,
        marks=_marks(scale_in),
        shields=shields.orders,
        deletes=(*_restart(scale_in), *objects.deletes(snapshot, versions=versions, sizes=sizes)),
        fence=_fence(snapshot, memory, scale_in=scale_in, taking_away=taking_away),
        read_now=scale_in.read_now if scale_in else False,
        scaled=tuple(
            Scaled(deployment=name, before=child.replicas, after=sizes[name])
            for name, child in snapshot.deployments.items()
            if child.replicas != sizes[name]
        ),
        mistaken=scale_in.mistaken if scale_in else 0,
        waiting_for=scale_in.waiting_for if scale_in else 0,
        care=care,
        restarted=_left(scale_in) if memory.restarts.restarted_at == snapshot.now else "",
        drained="" if memory.restarts.restarted_at == snapshot.now else _left(scale_in),
        look_again=_earliest(moments),
        corrected=objects.corrected(snapshot, applies, sizes=sizes),
        started_versions=tuple(name for name in versions.holding if name not in groups(snapshot)),
    )


def _shields(snapshot: Snapshot, memory: Memory) -> Shielding:
    wanted = snapshot.pool.spec.disruption.protect_busy_workers
    seen = None if snapshot.pods is None else {pod.uid: pod.shielded for pod in snapshot.pods.active}
    return shield(memory.shields, snapshot.reports, wanted=wanted, now=snapshot.now, seen=seen)


def _earliest(moments: Iterable[float | None]) -> float | None:
    return min((moment for moment in moments if moment is not None), default=None)


def _target(snapshot: Snapshot) -> desired.Revision:
    """What the pool asks for.

    Raises:
        RenderError: no valid pod can be made of it, or none that its author may have.
    """
    if not snapshot.account_usable:
        name = snapshot.pool.spec.worker.service_account_name
        raise desired.RenderError(
            f"ServiceAccount {name} of spec.worker.serviceAccountName is not there, or not for pools: give it the "
            f'label {desired.USABLE_LABEL}: "true", or name another'
        )
    return desired.revision_for(snapshot.pool)


def _fence(snapshot: Snapshot, memory: Memory, *, scale_in: ScaleInStep | None, taking_away: bool) -> FenceOrder | None:
    """Who is fenced: who is to go, and who is on a lost node and may be at work there unheard.

    A worker that nobody wants to go may still obey the leader before, until its fence lapses.
    """
    silent = snapshot.places.silent
    if scale_in is not None:
        return FenceOrder(fence_id=scale_in.memory.fence_id, pods=scale_in.fence | silent)
    if silent:
        return FenceOrder(fence_id=memory.scale_in.fence_id, pods=memory.scale_in.fenced | silent)
    if taking_away or not any(report.fence for report in snapshot.reports.values()):
        return None
    return FenceOrder(fence_id=memory.scale_in.fence_id, pods=frozenset())


def _remember_readiness(snapshot: Snapshot, memory: Memory, *, holding: Sequence[str], wanted: int) -> Memory:
    """Note since when workers are missing: of all, or of the wanted version those that have been asked for.

    The old version makes up the number while the new one cannot start, so the number alone would hide a bad image.
    """
    there = groups(snapshot)
    asked = [there[name] for name in holding if name in there]
    starting = any(group.ready < min(group.replicas, wanted) for group in asked)
    if not starting and sum(group.ready for group in there.values()) >= wanted:
        took = snapshot.now - memory.unready_since if memory.unready_since is not None else memory.pod_start_seconds
        took = min(took, LONGEST_POD_START_SECONDS)
        return replace(memory, unready_since=None, starting_since=None, pod_start_seconds=took)
    since = snapshot.now if memory.unready_since is None else memory.unready_since
    some = any(child.existing > child.ready for child in snapshot.deployments.values())
    begun = snapshot.now if memory.starting_since is None else memory.starting_since
    return replace(memory, unready_since=since, starting_since=begun if some else None)


def _wants_trouble(memory: Memory, *, now: float) -> tuple[bool, float | None]:
    """Whether the pods should be looked at for what keeps them from being ready; else when."""
    if memory.unready_since is None:
        return False, None
    if memory.starting_since is None:
        return False, TROUBLE_INTERVAL_MAX_SECONDS
    due = memory.starting_since + TROUBLE_AFTER_SECONDS
    if memory.pods_listed_at is not None and memory.pods_listed_at >= due:
        waited = memory.pods_listed_at - memory.starting_since
        due = memory.pods_listed_at + min(max(waited, TROUBLE_INTERVAL_SECONDS), TROUBLE_INTERVAL_MAX_SECONDS)
    return now >= due, max(due - now, TROUBLE_AFTER_SECONDS)


def _shedding(snapshot: Snapshot) -> bool:
    """Whether pods are still there whose Deployment was lowered, perhaps by the leader before: they stay fenced."""
    return any(child.existing > child.replicas for child in snapshot.deployments.values())


def _list_wait(snapshot: Snapshot, *, hurry: bool, draining: bool) -> float:
    """Seconds until the pods may be listed again; where nothing is left but to see the deleted end, there is time."""
    listed_at, known = snapshot.memory.pods_listed_at, snapshot.memory.scale_in
    busy = hurry or known.lowered or known.fenced - known.parting or _shedding(snapshot)
    calm = DRAIN_LIST_SECONDS if draining else PARTING_RECHECK_SECONDS
    interval = POD_LIST_INTERVAL_SECONDS if busy else calm
    return 0.0 if listed_at is None else listed_at + interval - snapshot.now


def _workers(snapshot: Snapshot) -> list[Worker]:
    drain = float(snapshot.pool.spec.worker.drain_timeout_seconds)
    pods = snapshot.pods.active if snapshot.pods else ()
    return [judge(pod, snapshot.reports.get(pod.uid), drain_seconds=drain) for pod in pods]


def _ebb(snapshot: Snapshot, *, size: int, soon: int | None) -> Ebb:
    """Who follows soon, where there is one Deployment that all of them are of."""
    sized = [child for child in snapshot.deployments.values() if child.replicas]
    return Ebb(count=max(0, size - soon), whole=soon == 0) if soon is not None and len(sized) == 1 else Ebb()


def _scale_in(
    snapshot: Snapshot,
    memory: Memory,
    workers: Sequence[Worker],
    *,
    counts: Counts,
    ebb: Ebb,
    drains: Sequence[Drain],
) -> ScaleInStep:
    sizes = [
        Sizing(
            deployment=name,
            replicas=child.replicas,
            remove=counts.remove.get(name, 0),
            ebb=ebb if child.replicas else Ebb(),
        )
        for name, child in sorted(snapshot.deployments.items())
    ]
    terminating = snapshot.pods.terminating if snapshot.pods else frozenset()
    wanted, silent = sum(counted(snapshot).values()), snapshot.places.silent
    stuck = memory.restarts.leaver(after=float(snapshot.pool.spec.worker.stuck_after_seconds), now=snapshot.now)
    return step(
        sizes=sizes,
        workers=workers,
        memory=memory.scale_in,
        now=snapshot.now,
        terminating=terminating,
        leaver=stuck or next_leaver(drains, workers, wanted=wanted, fenced=memory.scale_in.fenced, silent=silent),
    )


def _remember_step(snapshot: Snapshot, memory: Memory, scale_in: ScaleInStep) -> Memory:
    stuck = scale_in.restart is not None and scale_in.restart.pod.uid == memory.restarts.chosen
    restarts = memory.restarts.done(now=snapshot.now) if stuck else memory.restarts
    return replace(memory, scale_in=scale_in.memory, restarts=restarts)


def _restart(scale_in: ScaleInStep | None) -> tuple[Delete, ...]:
    """The pod of a worker that is restarted; its Deployment makes another."""
    pod = scale_in.restart.pod if scale_in and scale_in.restart else None
    return (Delete(kind="Pod", name=pod.name, uid=pod.uid),) if pod else ()


def _left(scale_in: ScaleInStep | None) -> str:
    return scale_in.restart.pod.name if scale_in and scale_in.restart else ""


def _sizes(snapshot: Snapshot, *, counts: Counts, scale_in: ScaleInStep | None) -> dict[str, int]:
    lower = scale_in.lower if scale_in else {}
    sizes = {name: child.replicas - lower.get(name, 0) for name, child in snapshot.deployments.items()}
    return sizes | counts.raise_to


def _marks(scale_in: ScaleInStep | None) -> tuple[Mark, ...]:
    if scale_in is None:
        return ()
    return (
        *(Mark(pod=w.pod.name, uid=w.pod.uid, cost=cost) for w, cost in scale_in.mark),
        *(Mark(pod=w.pod.name, uid=w.pod.uid, cost=None) for w in scale_in.unmark),
    )
