"""What the collector knows, by pool: readings, workers, pods, and the orders in force.

Everything that changes here is announced under a subject (`samples/<pool>`, `workers/<pool>`), and whoever sends it
on composes the message then: so a burst of changes costs one message.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from workerpool.protocol import Counters, Delivery, Report, Settings, Share
from workerpool_operator.collector.holding import Announce, Late, Subject, repeats, steady
from workerpool_operator.collector.words import finite, long, short, shortened
from workerpool_operator.protocol import (
    LEAVING_FENCE,
    MOST_JOBS,
    PodReport,
    PoolConfig,
    QueueSample,
    Samples,
    WorkerReport,
    Workers,
)

EXPECTED_AFTER_SECONDS: Final = 30.0
"""A worker is expected to be seen in Prometheus so long after it became ready: the targets are found within some
seconds and scraped every 10. Without this, a pool that grows or changes its version for minutes would always have a few
workers that look missing."""
SAME_WAITS_SECONDS: Final = 2.0
"""What changes in a worker and is not acted upon at once goes up so late at most, with what the others of its pool have
said by then: the message is of all of them, so that a message for each report would cost the square of their number."""
WORK_WAITS_SECONDS: Final = 0.25
WORK_WAITS_PER_WORKER_SECONDS: Final = 0.002
"""A worker that has more or fewer jobs than before: at once in a small pool, and with others of a large one."""
_MOST_INTERRUPTED: Final = 10_000
"""By one worker: more jobs at a time has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodInfo:
    """A worker pod of this namespace."""

    name: str
    uid: str
    pool: str
    version: str
    node: str
    ip: str
    ready: bool
    was_ready: bool
    """Whether it has been ready at least once."""
    terminating: bool
    crashes: int = 0
    """Deaths of its containers."""
    evicted: bool = False
    """Whether it is taken off its node."""
    deployment: str = ""
    """Name of the Deployment that it is of."""

    @property
    def well(self) -> bool:
        """Whether the operator need not hear of it."""
        return self.ready and not self.crashes and not self.evicted and not self.terminating

    def as_report(self, *, unheard: float | None = None) -> PodReport:
        """In the operator's protocol. `unheard`: seconds for which its worker has been waited for."""
        return PodReport(
            uid=self.uid,
            version=self.version,
            placed=bool(self.node),
            ready=self.ready,
            crashes=self.crashes,
            evicted=self.evicted,
            terminating=self.terminating,
            node=self.node,
            deployment=self.deployment,
            unheard_seconds=unheard,
        )


@dataclass(slots=True, kw_only=True)
class WorkerState:
    """A worker as it was last heard."""

    pod: str
    uid: str
    version: str
    source: str
    boot_id: str = ""
    report: Report | None = None
    heard_at: float = 0.0
    connected: bool = False

    def as_report(self, *, now: float, node: str, deployment: str, held: bool) -> WorkerReport:
        """In the operator's protocol, whatever the worker said."""
        said = self.report
        return WorkerReport(
            pod=self.pod,
            uid=self.uid,
            node=node,
            deployment=deployment,
            version=short(self.version),
            source="stream" if self.source == "stream" else "scrape",
            connected=self.connected,
            age_seconds=max(0.0, now - self.heard_at),
            held=held,
            in_flight=min(said.in_flight, MOST_JOBS) if said else 0,
            slots=said.slots if said else 1,
            most_slots=said.most_slots if said else None,
            cpu_cores=finite(said.cpu_cores) if said else None,
            fence=short(said.fence) if said else "",
            draining=said.draining if said else False,
            paused=long(said.paused) if said else "",
            troubles=shortened(said.troubles) if said else {},
            remaining_seconds=finite(said.remaining_seconds) if said else None,
            boot_id=short(self.boot_id),
            share=said.share if said else None,
            slow_after_seconds=finite(said.slow_after_seconds) if said else None,
            counters=said.counters if said else Counters(),
        )


@dataclass(slots=True)
class PoolBoard:
    """One pool."""

    config: PoolConfig
    samples: dict[str, tuple[QueueSample, float]] = field(default_factory=dict)
    fence_id: str = ""
    fenced: frozenset[str] = frozenset()
    fence_until: float = 0.0
    delivery: Delivery | None = None
    shares: Mapping[str, Share] = field(default_factory=dict)
    """By pod uid."""
    read_id: str = ""
    interrupted: int = 0
    """Jobs that its workers have handed back unfinished because they had to go, as they said at their end."""


class Board:
    """All pools of the namespace. `announce` hears of every change, `began(pool)` of jobs that begin."""

    def __init__(
        self,
        *,
        announce: Announce,
        began: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._announce = announce
        self._began = began
        self._clock = clock
        self.pools: dict[str, PoolBoard] = {}
        self.pods: dict[str, PodInfo] = {}
        """By uid."""
        self._ready_since: dict[str, float] = {}
        """Pod uid -> when it was first known to have been ready."""
        self._seen_since: dict[str, float] = {}
        """Pod uid -> when it was first seen."""
        self.workers: dict[str, dict[str, WorkerState]] = {}
        """By pool and pod uid. A worker may be heard before the operator has said that its pool exists."""
        self._late = Late()
        self.configured = False
        """Whether the operator has said which pools there are."""

    def configure(self, pools: tuple[PoolConfig, ...]) -> None:
        """These pools, and no others."""
        self.configured = True
        wanted = {pool.name: pool for pool in pools}
        for name in self.pools.keys() - wanted.keys():
            del self.pools[name]
            self._announce("workers", name)
        self._late.keep(wanted)
        for name, pool in wanted.items():
            known = self.pools.get(name)
            if known is None or known.config.uid != pool.uid:
                self.pools[name] = PoolBoard(config=pool)
                if known is not None:
                    self._announce("samples", name)
                if self.workers.get(name):
                    self._announce("workers", name)
            else:
                known.config = pool
                names = {queue["name"] for queue in pool.queues}
                for gone in known.samples.keys() - names:
                    del known.samples[gone]
                    self._late.ends(("samples", name, gone))
                    self._announce("samples", name)

    def sampled(self, pool: str, sample: QueueSample, *, tell: bool = True) -> None:
        """A queue was read, or could not be. Without `tell` that need not go up: it says hardly anything new."""
        known = self.pools.get(pool)
        if known is None:
            return
        before, _ = known.samples.get(sample.queue, (None, 0.0))
        same = repeats(before, sample)
        if tell or same:
            known.samples[sample.queue] = (sample, self._clock())
            late = self._late.ends(("samples", pool, sample.queue))
            if tell or late:
                self._announce("samples", pool, news=late or not same)

    def running(self, pool: str, *, queue: str) -> int:
        """Jobs of this queue that the pool's workers run, as they say: for brokers that do not tell how many there are.

        All of theirs, without those of other queues; other consumers of the queue are not known here.
        """
        reports = (state.report for state in self.workers.get(pool, {}).values())
        known = self.pools.get(pool)
        others = (sample for sample, _ in known.samples.values() if sample.queue != queue) if known else ()
        said = sum(min(report.in_flight, MOST_JOBS) for report in reports if report is not None)
        said = min(said, MOST_JOBS)
        return max(0, said - sum(sample.in_flight or 0 for sample in others))

    def heard(self, pool: str, state: WorkerState) -> None:
        """A worker said something, came or went. One whose pod is gone by now is nobody's worker any more."""
        if state.uid in self.pods:
            before = self.worker(pool, state.uid)
            state = replace(state, report=steady(before.report if before else None, state.report))
            self.workers.setdefault(pool, {})[state.uid] = state
            late = self._late.ends(("workers", pool, state.uid))
            news = late or before is None or replace(before, heard_at=state.heard_at) != state
            within = 0.0 if late else self._may_wait(pool, before, state)
            self._announce("workers", pool, within=within, news=news)
            if _started(state) > _started(before):
                self._began(pool)

    def left(self, pool: str, *, interrupted: int) -> None:
        """A worker has said its last words, whatever they are."""
        known = self.pools.get(pool)
        if known is not None:
            known.interrupted += max(0, min(interrupted, _MOST_INTERRUPTED))

    def _may_wait(self, pool: str, before: WorkerState | None, said: WorkerState) -> float:
        """Seconds for which what a worker says now need not go up.

        None while its pool is fenced: the operator waits for each word then.
        """
        known = self.pools.get(pool)
        fenced = known is not None and bool(known.fenced) and known.fence_until > self._clock()
        if fenced or before is None or _standing(before) != _standing(said):
            return 0.0
        if _work(before) != _work(said):
            return min(WORK_WAITS_SECONDS, WORK_WAITS_PER_WORKER_SECONDS * len(self.workers[pool]))
        return SAME_WAITS_SECONDS

    def worker(self, pool: str, uid: str) -> WorkerState | None:
        """A worker as it was last heard."""
        return self.workers.get(pool, {}).get(uid)

    def pod_seen(self, pod: PodInfo) -> bool:
        """A pod is like this now. True when its worker must be told so: the pod is being deleted from now on."""
        before = self.pods.get(pod.uid)
        self.pods[pod.uid] = pod
        self._seen_since.setdefault(pod.uid, self._clock())
        if pod.was_ready:
            self._ready_since.setdefault(pod.uid, self._clock())
        if before is None or before.node != pod.node or before.as_report() != pod.as_report():
            self._announce("workers", pod.pool)
        return pod.terminating and not (before is not None and before.terminating)

    def pod_gone(self, uid: str) -> None:
        """A pod does not exist any more, so neither does its worker."""
        pod = self.pods.pop(uid, None)
        self._ready_since.pop(uid, None)
        self._seen_since.pop(uid, None)
        if pod is not None:
            self.workers.get(pod.pool, {}).pop(uid, None)
            self._late.ends(("workers", pod.pool, uid))
            self._announce("workers", pod.pool)

    def order_fence(self, pool: str, fence_id: str, pods: frozenset[str], *, ttl: float) -> bool:
        """Fence exactly these pods. True when that is a change."""
        known = self.pools.get(pool)
        if known is None:
            return False
        changed = (known.fence_id, known.fenced) != (fence_id, pods)
        known.fence_id, known.fenced, known.fence_until = fence_id, pods, self._clock() + ttl
        return changed

    def order_delivery(self, pool: str, delivery: Delivery) -> bool:
        """Live settings for the pool's workers. True when that is a change."""
        known = self.pools.get(pool)
        if known is None or known.delivery == delivery:
            return False
        known.delivery = delivery
        return True

    def order_shares(self, pool: str, shares: Mapping[str, Share]) -> set[str]:
        """What each worker may begin of the pool's limit. Uids of those for whom that is a change."""
        known = self.pools.get(pool)
        if known is None:
            return set()
        before, known.shares = known.shares, shares
        return {uid for uid, share in shares.items() if before.get(uid) != share}

    def settings_for(self, pool: str, uid: str, *, ttl: float) -> Settings:
        """What a worker of the pool is to be told now.

        A worker whose pod is being deleted, by whomever, takes nothing more: its SIGTERM may never reach it, where a
        shell is in front of it. The operator's fence goes first, since the operator waits for its id. Neither lapses
        sooner than the settings do: deletion is final, so there is nobody to release.
        """
        known = self.pools.get(pool)
        pod = self.pods.get(uid)
        leaving = pod is not None and pod.terminating
        left = known.fence_until - self._clock() if known is not None and uid in known.fenced else 0.0
        fence = known.fence_id if known is not None and left > 0 else ""
        return Settings(
            ttl_seconds=max(0.1, min(ttl, left)) if fence and not leaving else ttl,
            fence=fence or (LEAVING_FENCE if leaving else ""),
            delivery=known.delivery if known is not None else None,
            share=known.shares.get(uid) if known is not None else None,
        )

    def hold(self) -> float:
        """Seconds since the earliest of the last words and readings that are held. Who is late is announced first."""
        age, late = self._late.look(self._holdable(), now=self._clock())
        for what, pool, _ in late:
            self._announce(what, pool)
        return age

    def _holdable(self) -> Iterator[tuple[Subject, float]]:
        """What could be held, with the time of its last word or reading."""
        for name, known in self.pools.items():
            for uid, state in self.workers.get(name, {}).items():
                if state.connected:
                    yield ("workers", name, uid), state.heard_at
            for queue, (sample, at) in known.samples.items():
                if sample.held:
                    yield ("samples", name, queue), at - sample.age_seconds

    def samples_message(self, pool: str) -> Samples | None:
        """All readings of a pool, with their ages."""
        known = self.pools.get(pool)
        if known is None or not known.samples:
            return None
        now = self._clock()
        samples = []
        for sample, at in known.samples.values():
            held = sample.held and ("samples", pool, sample.queue) not in self._late
            samples.append(replace(sample, age_seconds=sample.age_seconds + now - at, held=held))
        return Samples(pool=pool, samples=tuple(samples))

    def workers_message(self, pool: str) -> Workers | None:
        """All workers of a pool, with their ages."""
        known = self.pools.get(pool)
        if known is None:
            return None
        now = self._clock()
        heard = self.workers.get(pool, {})
        there = {uid: self.pods[uid] for uid in heard if uid in self.pods}
        return Workers(
            pool=pool,
            workers=tuple(
                state.as_report(
                    now=now,
                    node=there[uid].node if uid in there else "",
                    deployment=there[uid].deployment if uid in there else "",
                    held=state.connected and ("workers", pool, uid) not in self._late,
                )
                for uid, state in heard.items()
            ),
            pods=tuple(
                pod.as_report(unheard=None if uid in heard else now - self._seen_since[uid])
                for uid, pod in self.pods.items()
                if pod.pool == pool and not (pod.well and uid in heard)
            ),
            read_id=known.read_id,
        )

    def expected_workers(self, pool: str) -> int:
        """Pods that are not being deleted and became ready a while ago, whether or not they are now."""
        latest = self._clock() - EXPECTED_AFTER_SECONDS
        return sum(
            1
            for uid, since in self._ready_since.items()
            if since <= latest and self.pods[uid].pool == pool and not self.pods[uid].terminating
        )


def _started(state: WorkerState | None) -> int:
    return state.report.counters.started if state is not None and state.report is not None else 0


def _standing(state: WorkerState) -> object:
    """What the operator acts upon at once."""
    said = state.report
    if said is None:
        return (state.connected, state.source, state.boot_id)
    told = (said.fence, said.draining, said.paused, said.slots, said.most_slots, said.troubles, said.share)
    return (state.connected, state.source, state.boot_id, told)


def _work(state: WorkerState) -> object:
    said = state.report
    return None if said is None else (said.in_flight, said.remaining_seconds is None)
