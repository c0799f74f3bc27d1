"""Scaling in without hurting a job, one observed step at a time.

fence the victims -> keep those that answered with the fence and have nothing to lose -> mark exactly those by
pod-deletion-cost -> wait until the ReplicaSet controller's cache has the marks, and has no more those that were taken
back -> lower the Deployment -> compare who went with who was chosen. Where all of a Deployment go, there is nothing to
choose: it is lowered without marks. Idle workers who will go soon, if nothing happens, are marked ahead (`marks`).

Every call starts from what is observed; `ScaleInMemory` only holds what Kubernetes does
not: which fence is in force, and when marks were written. Losing it (a new leader) costs a second, never a job:
fences lapse by themselves, and a mark of unknown age is taken as written now.

A worker that is not wanted any more stays fenced while it finishes its jobs: its slots are not needed, and it can
only become idler. When more workers are wanted again, all are released, but for those whose Deployment was lowered
and whose deletion is only a matter of time, and those that are being deleted: a job taken now would be cut off. A
deleted one hears of it by SIGTERM a moment later, or never where something stands in front of it that swallows that.

A worker that is to be restarted goes the same way up to the fence and the wait for its jobs. Then its pod is deleted,
and no Deployment is lowered: so it needs no mark, and another takes its place.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from workerpool_operator.domain.scaling.marks import soon_to_go, to_write
from workerpool_operator.domain.scaling.workers import DELETION_COST, Readiness, Worker

MARK_SETTLE_SECONDS: Final = 1.0
"""The ReplicaSet controller reads costs from its informer, which needs this long to have a mark (generously)."""
UNHEARD_SETTLE_SECONDS: Final = 10.0
"""A worker takes jobs some seconds before it dials its collector, and a moment before Kubernetes calls it ready. One
that runs, and of which neither is known, is taken when both are still so after this long."""
RECHECK_SECONDS: Final = 2.0
"""When nothing is heard, look again after this long."""
EXCESS_RECHECK_SECONDS: Final = 0.25
"""A lowered Deployment sheds its pods within milliseconds, unless the controller manager is away."""
EXCESS_RECHECK_MAX_SECONDS: Final = 30.0
"""Then the next look comes after a quarter of the time waited so far, at most after this."""
PARTING_RECHECK_SECONDS: Final = 5.0
"""Whether the deleted have ended; nothing but the length of their fence depends on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ebb:
    """Who follows within moments, unless something happens. `whole`: with them all go, so nobody has to be marked."""

    count: int = 0
    whole: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizing:
    """One Deployment of the pool: what its spec says now, and how many of its pods should go."""

    deployment: str
    replicas: int
    remove: int = 0
    ebb: Ebb = field(default_factory=Ebb)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lowered:
    """A Deployment that was lowered to `replicas`: `count` of the `chosen` (uids) should go by that."""

    deployment: str
    replicas: int
    chosen: frozenset[str]
    count: int
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaver:
    """The worker (uid) that is to be restarted. `deaf`: it has had its time to answer the fence."""

    uid: str
    deaf: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleInMemory:
    """What must be remembered between two looks. `epoch` makes fence ids unique over changes of leader."""

    epoch: int
    sequence: int = 0
    fenced: frozenset[str] = frozenset()
    parting: frozenset[str] = frozenset()
    """Of the fenced, those that are being deleted."""
    marked_at: Mapping[str, float] = field(default_factory=dict)
    unmarked_at: float | None = None
    """When a mark was last taken back."""
    lowered: tuple[Lowered, ...] = ()

    @property
    def fence_id(self) -> str:
        """Id of the fence in force."""
        return f"{self.epoch}.{self.sequence}"

    def marks_written(self, at: float) -> "ScaleInMemory":
        """The marks of the last step were on their way until `at`; they settle from then on."""
        moments = [*self.marked_at.values(), *([] if self.unmarked_at is None else [self.unmarked_at])]
        pending = max(moments, default=at)
        return replace(
            self,
            marked_at={uid: at if t == pending else t for uid, t in self.marked_at.items()},
            unmarked_at=at if self.unmarked_at == pending else self.unmarked_at,
        )

    def unsettled(self, now: float) -> float:
        """Seconds for which a mark that was taken back may still be seen by the ReplicaSet controller."""
        return 0.0 if self.unmarked_at is None else max(0.0, self.unmarked_at + MARK_SETTLE_SECONDS - now)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleInStep:
    """What to do now. `fence` is the whole set of uids that must take nothing more (empty: release all)."""

    memory: ScaleInMemory
    fence: frozenset[str] = frozenset()
    mark: tuple[tuple[Worker, int], ...] = ()
    """With the cost to write."""
    unmark: tuple[Worker, ...] = ()
    lower: Mapping[str, int] = field(default_factory=dict)
    """Deployment -> by how many."""
    read_now: bool = False
    waiting_for: int = 0
    """Chosen workers that cannot go yet."""
    mistaken: int = 0
    """Pods that went although others were chosen, since the last look."""
    restart: Worker | None = None
    """The worker to be restarted, once nothing is lost by it: delete its pod."""
    look_again: float | None = None


def step(
    *,
    sizes: Sequence[Sizing],
    workers: Sequence[Worker],
    memory: ScaleInMemory,
    now: float,
    terminating: frozenset[str] = frozenset(),
    leaver: Leaver | None = None,
) -> ScaleInStep:
    """The next step of taking `remove` pods away from each Deployment, from whatever point it has reached.

    `workers` are the active ones; `terminating` are the uids of pods that are being deleted; `leaver` is restarted.
    """
    by_deployment = {size.deployment: _of(workers, size.deployment) for size in sizes}
    shedding = {size.deployment for size in sizes if len(by_deployment[size.deployment]) > size.replicas}
    memory, mistaken = _compare(memory, sizes, by_deployment, shedding=shedding)
    victims = {
        size.deployment: _victims(by_deployment[size.deployment], size)
        for size in sizes
        if size.deployment not in shedding
    }
    chosen = [worker for group in victims.values() for worker in group]
    emptied = {size.deployment for size in sizes if size.replicas == 0}
    going = [
        worker for name in shedding for worker in by_deployment[name] if name in emptied or _is_going(worker, memory)
    ]
    uid, deaf = (leaver.uid, leaver.deaf) if leaver else ("", False)
    restarting = [worker for worker in workers if worker.pod.uid == uid and worker not in (*chosen, *going)]
    memory = _refence(memory, chosen=[*chosen, *restarting], going=going, terminating=terminating)
    leaving = [worker for worker in chosen if worker.may_go(fence=memory.fence_id)]
    mark, kept = _marks(sizes, by_deployment, victims=victims, leaving=leaving)
    memory = _remember_marks(memory, workers, [worker for worker, _ in mark], now=now)
    unmark = _stale_marks(workers, keep=[*kept, *going])
    memory = replace(memory, unmarked_at=now) if unmark else memory
    lowerings = [
        lowering
        for size in sizes
        if size.deployment in victims
        and (lowering := _lower(size, by_deployment[size.deployment], victims[size.deployment], memory, now=now))
    ]
    at_once = {lowered.deployment for _, lowered in lowerings if lowered.replicas == 0}
    memory = replace(memory, lowered=(*memory.lowered, *(lowered for _, lowered in lowerings)))
    return ScaleInStep(
        memory=memory,
        fence=memory.fenced,
        mark=tuple(one for one in mark if one[0].pod.deployment not in at_once),
        unmark=unmark,
        lower={lowered.deployment: count for count, lowered in lowerings},
        read_now=any(worker.report is not None and not worker.report.fenceable for worker in chosen),
        waiting_for=len(chosen) - len(leaving),
        mistaken=mistaken,
        restart=next((w for w in restarting if _may_restart(w, fence=memory.fence_id, deaf=deaf)), None),
        look_again=_look_again([*chosen, *restarting], leaving, memory=memory, shedding=bool(shedding), now=now),
    )


def _of(workers: Iterable[Worker], deployment: str) -> list[Worker]:
    return [worker for worker in workers if worker.pod.deployment == deployment]


def _victims(workers: Sequence[Worker], size: Sizing) -> list[Worker]:
    """Who should go: the first in order, less the pods that are asked for and do not exist."""
    unborn = size.replicas - len(workers)
    return sorted(workers, key=lambda worker: worker.order)[: max(0, size.remove - unborn)]


def _may_restart(worker: Worker, *, fence: str, deaf: bool) -> bool:
    """As a victim may go. One that has not answered its fence, because its intake hangs, goes on its last word."""
    return worker.may_go(fence=fence) or (deaf and worker.readiness <= Readiness.ENDING)


def _is_going(worker: Worker, memory: ScaleInMemory) -> bool:
    """Whether a lowered Deployment is about to delete this one; after a change of leader only the mark tells."""
    known = [lowered for lowered in memory.lowered if lowered.deployment == worker.pod.deployment]
    if any(worker.pod.uid in lowered.chosen for lowered in known) or worker.pod.cost == DELETION_COST:
        return True
    return worker.pod.marked and not known


def _compare(
    memory: ScaleInMemory,
    sizes: Sequence[Sizing],
    by_deployment: Mapping[str, Sequence[Worker]],
    *,
    shedding: set[str],
) -> tuple[ScaleInMemory, int]:
    """Settle accounts with Deployments that have shed their pods: a chosen one still there means another went."""
    sized = {size.deployment: size.replicas for size in sizes}
    kept: list[Lowered] = []
    mistaken = 0
    for lowered in memory.lowered:
        if lowered.deployment in shedding:
            kept.append(lowered)
        elif sized.get(lowered.deployment, 0) <= lowered.replicas:
            active = {worker.pod.uid for worker in by_deployment.get(lowered.deployment, ())}
            mistaken += max(0, lowered.count - len(lowered.chosen - active))
    return replace(memory, lowered=tuple(kept)), mistaken


def _refence(
    memory: ScaleInMemory, *, chosen: Sequence[Worker], going: Sequence[Worker], terminating: frozenset[str]
) -> ScaleInMemory:
    """A new id whenever somebody joins: an answer to an older fence proves nothing for who was released between."""
    listening = [worker for worker in chosen if worker.listens or worker.readiness is not Readiness.NOT_STARTED]
    parting = memory.fenced & terminating
    wanted = parting.union(worker.pod.uid for worker in (*listening, *going))
    joined = wanted - memory.fenced
    sequence = memory.sequence + 1 if joined else memory.sequence
    return replace(memory, sequence=sequence, fenced=wanted, parting=parting)


def _marks(
    sizes: Sequence[Sizing],
    by_deployment: Mapping[str, Sequence[Worker]],
    *,
    victims: Mapping[str, Sequence[Worker]],
    leaving: Sequence[Worker],
) -> tuple[list[tuple[Worker, int]], list[Worker]]:
    """Marks to write, and who may have one: who goes, who is about to be asked to, and who comes soon."""
    mark: list[tuple[Worker, int]] = []
    kept = [*leaving]
    for size in sizes:
        workers = by_deployment[size.deployment]
        if size.deployment not in victims:
            # It is about to lose pods: who comes after them is not looked for meanwhile, and keeps what it has.
            kept += [worker for worker in workers if worker.readiness is Readiness.IDLE]
            continue
        chosen = victims[size.deployment]
        coming = soon_to_go(workers, after=len(chosen), count=size.ebb.count)
        going = [worker for worker in leaving if worker.pod.deployment == size.deployment]
        mark += to_write(workers, leaving=going, coming=() if size.ebb.whole else coming)
        kept += [*(worker for worker in chosen if worker.readiness <= Readiness.IDLE), *coming]
    return mark, kept


def _remember_marks(
    memory: ScaleInMemory, workers: Sequence[Worker], written: Sequence[Worker], *, now: float
) -> ScaleInMemory:
    """Note when each mark was first seen or is about to be written; forget those that are no more."""
    marked = {w.pod.uid: memory.marked_at.get(w.pod.uid, now) for w in workers if w.pod.marked}
    return replace(memory, marked_at=marked | {worker.pod.uid: now for worker in written})


def _lower(
    size: Sizing, workers: Sequence[Worker], victims: Sequence[Worker], memory: ScaleInMemory, *, now: float
) -> tuple[int, Lowered] | None:
    """By how many this Deployment can be lowered so that exactly workers that may go are deleted."""
    unborn = min(size.remove, max(0, size.replicas - len(workers)))
    may_go = [worker for worker in victims if worker.may_go(fence=memory.fence_id)]
    if _all_go(size, workers, may_go):
        uids = frozenset(worker.pod.uid for worker in workers)
        return size.replicas, Lowered(deployment=size.deployment, replicas=0, chosen=uids, count=len(uids), at=now)
    leaving = {
        worker.pod.uid
        for worker in may_go
        if worker.pod.marked and not (worker.unheard and _settles_in(worker, memory, now=now) > 0)
    }
    settled = {
        uid for uid in leaving if now - memory.marked_at[uid] >= MARK_SETTLE_SECONDS and not memory.unsettled(now)
    }
    shed = _safe_count(workers, leaving=leaving, settled=settled)
    if unborn + shed == 0:
        return None
    lowered = Lowered(
        deployment=size.deployment,
        replicas=size.replicas - unborn - shed,
        # With those that get their mark in this very step: the ReplicaSet controller may see it before it deletes.
        chosen=frozenset(worker.pod.uid for worker in may_go),
        count=shed,
        at=now,
    )
    return unborn + shed, lowered


def _all_go(size: Sizing, workers: Sequence[Worker], may_go: Sequence[Worker]) -> bool:
    """Whether nobody has to be chosen: every pod that there is, or may be, has answered the fence and has no job."""
    idle = [worker for worker in may_go if worker.readiness <= Readiness.IDLE and worker.listens]
    return 0 < len(idle) == len(workers) == size.replicas


def _safe_count(workers: Sequence[Worker], *, leaving: set[str], settled: set[str]) -> int:
    """How many the ReplicaSet controller would delete, in its order, before it came to one that must stay.

    Pods that compare equal may be taken in any order, so a group of equals counts only if all of it may go. Of such
    a group only those count whose mark is surely seen; the others may be taken in their stead, which is as good.
    """
    count = 0
    ordered = sorted(workers, key=lambda worker: worker.eviction_order)
    for _, equals in itertools.groupby(ordered, key=lambda worker: worker.eviction_order):
        group = {worker.pod.uid for worker in equals}
        if not group <= leaving:
            break
        count += len(group & settled)
        if not group <= settled:
            break
    return count


def _settles_in(worker: Worker, memory: ScaleInMemory, *, now: float) -> float:
    """Seconds from now until a marked worker may be taken; negative once it may."""
    settle = UNHEARD_SETTLE_SECONDS if worker.unheard else MARK_SETTLE_SECONDS
    return memory.marked_at[worker.pod.uid] + settle - now


def _stale_marks(workers: Sequence[Worker], *, keep: Sequence[Worker]) -> tuple[Worker, ...]:
    kept = {worker.pod.uid for worker in keep}
    return tuple(w for w in workers if w.pod.marked and w.pod.uid not in kept)


def _look_again(
    chosen: Sequence[Worker], leaving: Sequence[Worker], *, memory: ScaleInMemory, shedding: bool, now: float
) -> float | None:
    unsettled = memory.unsettled(now)
    moments = [max(_settles_in(worker, memory, now=now), unsettled) for worker in leaving]
    if memory.lowered:
        waited = now - max(lowered.at for lowered in memory.lowered)
        moments.append(min(max(waited / 4, EXCESS_RECHECK_SECONDS), EXCESS_RECHECK_MAX_SECONDS))
    elif shedding:
        moments.append(RECHECK_SECONDS)
    if chosen:
        moments.append(RECHECK_SECONDS)
    if memory.parting:
        moments.append(PARTING_RECHECK_SECONDS)
    return max(0.05, min(moments)) if moments else None
