"""What collectors said, and what they are to be told: both by level, not by edge.

Readings are stamped on arrival by this process's monotonic clock. With two collectors in a namespace the freshest
reading of a queue counts, and of a worker the one that has its stream. Orders are held here and sent whole: whoever
(re)connects gets them all, a stalled connection skips the states in between, and a fence is repeated while it is held
and lapses by itself when it is not. They belong to a term: what is ordered while this replica does not lead, by a
reconcile that was under way when the Lease was lost, is not held.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from pydantic import BaseModel

from workerpool.protocol import Delivery
from workerpool_operator.domain.scaling import Forecast, Traffic, stale_after
from workerpool_operator.domain.stuck import Conduct, Waiting
from workerpool_operator.protocol import (
    ORDER_TTL_SECONDS,
    Arrivals,
    Config,
    Fence,
    PodReport,
    PoolConfig,
    PoolSettings,
    QueueSample,
    ReadNow,
    Role,
    Samples,
    Up,
    WorkerReport,
    Workers,
)
from workerpool_operator.serve.courses import Courses
from workerpool_operator.serve.evidence import Evidence
from workerpool_operator.serve.said import Said, best_forecast, best_reports, freshest_samples, newest_pods

FENCE_REPEAT_SECONDS: Final = ORDER_TTL_SECONDS / 3
SILENT_SECONDS: Final = 60.0
"""What a collector said is dropped when it has been away for this long, or has not mentioned the pool again."""
MAX_POOLS: Final = 10_000
"""Of one namespace; what a collector says of more is ignored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A collector, as TokenReview names it."""

    namespace: str
    pod: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolView:
    """The newest that is known of a pool. Ages are as of the moment of the view."""

    samples: tuple[QueueSample, ...] = ()
    workers: tuple[WorkerReport, ...] = ()
    pods: tuple[PodReport, ...] = ()
    """Its pods that are not plainly well."""
    collectors_connected: int = 0
    conducts: Mapping[str, Conduct] = field(default_factory=dict)
    """Pod uid -> what its worker has done of late."""
    waiting: Mapping[str, Waiting] = field(default_factory=dict)
    """Queue -> how long jobs have been waiting in it."""
    traffic: Traffic = field(default_factory=Traffic)
    """How fast jobs come, and how long they take."""
    forecast: Forecast | None = None
    """How fast they are expected to come; None: nobody has said anything of it."""


class Readings(Protocol):
    """Whoever has to know until when the readings of a pool's queues count."""

    def read(self, namespace: str, pool: str, queue: str, *, age: float, stale_after: float) -> None:
        """A queue was read `age` seconds ago; that counts until it is `stale_after` seconds old."""

    def tidy(self) -> None:
        """Forget what has not counted for long: due now and then."""


class Link(Protocol):
    """One connection's way down. `send` never blocks: of messages with one subject the last counts."""

    def send(self, subject: str, message: BaseModel) -> None:
        """Send as soon as the connection can take it."""


@dataclass(slots=True)
class _Collector:
    """One collector pod, over all of its connections."""

    link: Link | None = None
    left_at: float = 0.0
    pools: dict[str, Said] = field(default_factory=dict)


@dataclass(slots=True)
class _Namespace:
    collectors: dict[str, _Collector] = field(default_factory=dict)
    evidence: dict[str, Evidence] = field(default_factory=dict)
    """By pool, over all collectors."""
    config: tuple[PoolConfig, ...] | None = None
    fences: dict[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    settings: dict[str, Delivery] = field(default_factory=dict)
    courses: Courses = field(default_factory=Courses)
    """How jobs came, by pool: kept for a collector that begins anew."""

    def links(self) -> Iterator[Link]:
        return (collector.link for collector in self.collectors.values() if collector.link is not None)


class StreamState:
    """All namespaces' readings and orders. Belongs to one event loop."""

    def __init__(
        self,
        *,
        on_change: Callable[[str, str], None],
        readings: Readings | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`on_change(namespace, pool)` hears when something changed that a size may follow from.

        `readings` hears of each usable reading, also of one that says the same as the last.
        """
        self._on_change = on_change
        self._readings = readings
        self._clock = clock
        self._namespaces: dict[str, _Namespace] = {}
        self._leader = False
        self._epoch = 0

    def view(self, namespace: str, pool: str) -> PoolView:
        """The newest that is known of the pool."""
        known = self._namespaces.get(namespace)
        if known is None:
            return PoolView()
        now = self._clock()
        said = [collector.pools[pool] for collector in known.collectors.values() if pool in collector.pools]
        return PoolView(
            samples=tuple(freshest_samples(said, now=now)),
            workers=tuple(best_reports(said, now=now)),
            pods=tuple(newest_pods(said, now=now)),
            collectors_connected=sum(1 for _ in known.links()),
            conducts=known.evidence[pool].conducts if pool in known.evidence else {},
            waiting=known.evidence[pool].waiting if pool in known.evidence else {},
            traffic=known.evidence[pool].traffic(now=now) if pool in known.evidence else Traffic(),
            forecast=best_forecast(said),
        )

    def attach(self, peer: Peer, link: Link) -> None:
        """A collector has connected: tell it who leads, and every order held."""
        namespace = self._namespaces.setdefault(peer.namespace, _Namespace())
        namespace.collectors.setdefault(peer.pod, _Collector()).link = link
        self._drop_silent(namespace)
        link.send("role", Role(leader=self._leader, epoch=self._epoch))
        if self._leader:
            for subject, message in self._orders(namespace):
                link.send(subject, message)

    def detach(self, peer: Peer, link: Link) -> None:
        """A connection has ended; nothing happens if its collector has another by now."""
        namespace = self._namespaces.get(peer.namespace)
        collector = namespace.collectors.get(peer.pod) if namespace else None
        if namespace is None or collector is None or collector.link is not link:
            return
        collector.link, collector.left_at = None, self._clock()
        for pool in collector.pools:  # its workers are not heard until they have found another
            self._on_change(peer.namespace, pool)

    def receive(self, peer: Peer, message: Up) -> None:
        """Take in what a collector says."""
        namespace = self._namespaces.setdefault(peer.namespace, _Namespace())
        collector = namespace.collectors.setdefault(peer.pod, _Collector())
        if message.pool not in collector.pools and len(collector.pools) >= MAX_POOLS:
            return
        said = collector.pools.setdefault(message.pool, Said())
        said.heard_at = self._clock()
        evidence = namespace.evidence.setdefault(message.pool, Evidence())
        match message:
            case Samples():
                changed = self._take_samples(said, message, evidence)
                self._tell_readings(peer.namespace, message)
            case Arrivals():
                namespace.courses.told(message, now=said.heard_at)
                changed = said.take_forecast(message)
            case Workers():
                changed = self._take_workers(said, message, evidence, fenced=message.pool in namespace.fences)
        if changed:
            self._on_change(peer.namespace, message.pool)

    def set_role(self, *, leader: bool, epoch: int) -> None:
        """This replica leads from now on, or does no longer: then the orders it held are void."""
        self._leader, self._epoch = leader, epoch
        for namespace in self._namespaces.values():
            if not leader:
                namespace.config = None
                namespace.fences.clear()
                namespace.settings.clear()
            for link in namespace.links():
                link.send("role", Role(leader=leader, epoch=epoch))

    def send_config(self, namespace: str, pools: tuple[PoolConfig, ...]) -> None:
        """All pools of the namespace."""
        if not self._leader:
            return
        known = self._namespaces.setdefault(namespace, _Namespace())
        if known.config != pools:
            before = {pool.name for pool in known.config or ()}
            known.config = pools
            self._tell(known, "config", Config(epoch=self._epoch, pools=pools))
            for subject, message in known.courses.past(pools, epoch=self._epoch):
                if message.pool not in before:
                    self._tell(known, subject, message)

    def fence(self, namespace: str, pool: str, fence_id: str, pods: Iterable[str]) -> None:
        """The pods (uids) of the pool that take nothing more, until said otherwise.

        None releases all, those as well that the leader before has fenced: so it is sent although none is held.
        """
        if not self._leader:
            return
        known = self._namespaces.setdefault(namespace, _Namespace())
        wanted = (fence_id, tuple(pods))
        if known.fences.get(pool) == wanted:
            return
        if wanted[1]:
            known.fences[pool] = wanted
        else:
            known.fences.pop(pool, None)
        self._tell(known, f"fence/{pool}", self._fence(pool, wanted))

    def settings(self, namespace: str, pool: str, delivery: Delivery) -> None:
        """Live settings of the pool's workers."""
        if not self._leader:
            return
        known = self._namespaces.setdefault(namespace, _Namespace())
        if known.settings.get(pool) != delivery:
            known.settings[pool] = delivery
            self._tell(known, f"settings/{pool}", PoolSettings(epoch=self._epoch, pool=pool, delivery=delivery))

    def read_now(self, namespace: str, pool: str, read_id: str) -> None:
        """Ask for a fresh reading of the pool's queues and workers."""
        if known := self._namespaces.get(namespace):
            self._tell(known, f"read/{pool}", ReadNow(epoch=self._epoch, pool=pool, read_id=read_id))

    def forget(self, namespace: str, pool: str) -> None:
        """The pool is gone: so are its readings and its orders."""
        known = self._namespaces.get(namespace)
        if known is None:
            return
        known.fences.pop(pool, None)
        known.settings.pop(pool, None)
        known.evidence.pop(pool, None)
        known.courses.forget(pool)
        for collector in known.collectors.values():
            collector.pools.pop(pool, None)
        if not known.collectors and not known.config:
            del self._namespaces[namespace]

    def repeat_fences(self) -> None:
        """Send every held fence again: due each `FENCE_REPEAT_SECONDS`, or they lapse."""
        for namespace in self._namespaces.values():
            for pool, held in namespace.fences.items():
                self._tell(namespace, f"fence/{pool}", self._fence(pool, held))

    def tidy(self) -> None:
        """Forget namespaces and pools that nobody has mentioned for long: due now and then, on every replica."""
        now = self._clock()
        for name, namespace in list(self._namespaces.items()):
            self._drop_silent(namespace)
            for collector in namespace.collectors.values():
                for pool in [pool for pool, one in collector.pools.items() if now - one.heard_at > SILENT_SECONDS]:
                    del collector.pools[pool]
            said = {pool for collector in namespace.collectors.values() for pool in collector.pools}
            namespace.evidence = {pool: one for pool, one in namespace.evidence.items() if pool in said}
            for evidence in namespace.evidence.values():
                evidence.forget_before(now - SILENT_SECONDS)
            namespace.courses.tidy(now=now)
            if not (
                namespace.collectors or namespace.config or namespace.fences or namespace.settings or namespace.courses
            ):
                del self._namespaces[name]
        if self._readings is not None:
            self._readings.tidy()

    def _tell(self, namespace: _Namespace, subject: str, message: BaseModel) -> None:
        if self._leader:
            for link in namespace.links():
                link.send(subject, message)

    def _orders(self, namespace: _Namespace) -> Iterator[tuple[str, BaseModel]]:
        if namespace.config is not None:
            yield "config", Config(epoch=self._epoch, pools=namespace.config)
            yield from namespace.courses.past(namespace.config, epoch=self._epoch)
        for pool, delivery in namespace.settings.items():
            yield f"settings/{pool}", PoolSettings(epoch=self._epoch, pool=pool, delivery=delivery)
        for pool, held in namespace.fences.items():
            yield f"fence/{pool}", self._fence(pool, held)

    def _fence(self, pool: str, held: tuple[str, tuple[str, ...]]) -> Fence:
        return Fence(epoch=self._epoch, pool=pool, fence_id=held[0], pods=held[1])

    def _take_samples(self, said: Said, message: Samples, evidence: Evidence) -> bool:
        now = self._clock()
        changed = False
        for sample in message.samples:
            before = said.samples.get(sample.queue)
            changed = changed or before is None or _meaning(before[0]) != _meaning(sample)
            said.samples[sample.queue] = (sample, now)
        evidence.take_samples(message.samples, now=now)
        return changed

    def _tell_readings(self, namespace: str, message: Samples) -> None:
        if self._readings is None:
            return
        for sample in message.samples:
            if sample.waiting is not None and sample.in_flight is not None:
                self._readings.read(
                    namespace,
                    message.pool,
                    sample.queue,
                    age=sample.age_seconds,
                    stale_after=stale_after(sample.poll_seconds),
                )

    def _take_workers(self, said: Said, message: Workers, evidence: Evidence, *, fenced: bool) -> bool:
        """While nobody is fenced, how many jobs each worker has changes no decision."""
        now = self._clock()
        before = {uid: _standing(report, busy=fenced) for uid, (report, _) in said.workers.items()}
        said.workers = {report.uid: (report, now) for report in message.workers}
        said.pods, said.pods_at = {pod.uid: pod for pod in message.pods}, now
        for report in message.workers:
            evidence.take_report(report, now=now)
        return before != {report.uid: _standing(report, busy=fenced) for report in message.workers}

    def _drop_silent(self, namespace: _Namespace) -> None:
        now = self._clock()
        for pod, collector in list(namespace.collectors.items()):
            if collector.link is None and now - collector.left_at > SILENT_SECONDS:
                del namespace.collectors[pod]


def _meaning(sample: QueueSample) -> object:
    """What of a reading a size or a condition may follow from."""
    return (sample.waiting, sample.in_flight, sample.error, sample.message)


def _standing(report: WorkerReport, *, busy: bool) -> object:
    work = (report.in_flight, report.remaining_seconds is None) if busy else None
    return (report.connected, report.fence, report.draining, report.source, work)
