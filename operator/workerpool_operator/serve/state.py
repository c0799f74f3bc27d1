"""What collectors said, and what they are to be told: both by level, not by edge.

Readings are stamped on arrival by this process's monotonic clock, and grow old from there, or from the moment up to
which their collector says that they hold (`vouching`): by one word for all that it said on its connection. With two
collectors in a namespace the freshest reading of a queue counts, and of a worker the one that has its stream. Orders
are held here and sent whole: whoever (re)connects gets them all, a stalled connection skips the states in between, and
a fence is repeated while it is held and lapses by itself when it is not. They belong to a term: what is ordered while
this replica does not lead, by a reconcile that was under way when the Lease was lost, is not held.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from pydantic import BaseModel

from workerpool.protocol import Delivery, Share
from workerpool_operator.domain.scaling import Forecast, Traffic
from workerpool_operator.domain.stuck import Conduct, Waiting
from workerpool_operator.protocol import (
    ORDER_TTL_SECONDS,
    Arrivals,
    Config,
    Fence,
    Holds,
    PodReport,
    PoolConfig,
    PoolSettings,
    QueueSample,
    ReadNow,
    Role,
    Samples,
    Unheld,
    Up,
    WorkerReport,
    Workers,
)
from workerpool_operator.serve.courses import Courses
from workerpool_operator.serve.evidence import Evidence
from workerpool_operator.serve.readings import Readings, tell_reading
from workerpool_operator.serve.said import Said, best_forecast, best_reports, freshest_samples, lacks, newest_pods
from workerpool_operator.serve.vouching import Vouch

FENCE_REPEAT_SECONDS: Final = ORDER_TTL_SECONDS / 3
SILENT_SECONDS: Final = 60.0
"""What a collector said is dropped when it has been away for this long, or has not mentioned the pool again."""
RENEW_SECONDS: Final = 30.0
"""So often `Readings` hears of what is held: half of the time and less for which a reading that is held counts."""
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


class Link(Protocol):
    """One connection's way down. `send` never blocks: of messages with one subject the last counts."""

    def send(self, subject: str, message: BaseModel) -> None:
        """Send as soon as the connection can take it."""


@dataclass(slots=True)
class _Collector:
    """One collector pod, over all of its connections."""

    link: Link | None = None
    left_at: float = 0.0
    vouch: Vouch = field(default_factory=Vouch)
    """Of this link: what was said on one before is held no more."""
    pools: dict[str, Said] = field(default_factory=dict)


@dataclass(slots=True)
class _Namespace:
    collectors: dict[str, _Collector] = field(default_factory=dict)
    evidence: dict[str, Evidence] = field(default_factory=dict)
    """By pool, over all collectors."""
    config: tuple[PoolConfig, ...] | None = None
    fences: dict[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    settings: dict[str, tuple[Delivery, Mapping[str, Share]]] = field(default_factory=dict)
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
        self._renewed_at = 0.0

    def view(self, namespace: str, pool: str) -> PoolView:
        """The newest that is known of the pool."""
        known = self._namespaces.get(namespace)
        if known is None:
            return PoolView()
        now = self._clock()
        said = _caught_up(known, pool)
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
        collector = namespace.collectors.setdefault(peer.pod, _Collector())
        collector.link, collector.vouch = link, Vouch()
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
        collector.link, collector.left_at, collector.vouch = None, self._clock(), Vouch()
        for pool in collector.pools:  # its workers are not heard until they have found another
            self._on_change(peer.namespace, pool)

    def listens(self, peer: Peer, link: Link) -> bool:
        """Whether what comes on this connection counts: not what is left of one whose collector has another by now."""
        namespace = self._namespaces.get(peer.namespace)
        collector = namespace.collectors.get(peer.pod) if namespace else None
        return collector is None or collector.link in (None, link)

    def receive(self, peer: Peer, message: Up) -> None:
        """Take in what a collector says."""
        namespace = self._namespaces.setdefault(peer.namespace, _Namespace())
        collector = namespace.collectors.setdefault(peer.pod, _Collector())
        match message:
            case Holds():
                collector.vouch.take(message, now=self._clock())
            case Unheld(pool=pool, what=what) if pool in collector.pools:
                _caught_up(namespace, pool)
                collector.pools[pool].let_go(samples=what != "workers", workers=what != "samples")
            case Samples() | Workers() | Arrivals():
                self._take(peer, namespace, collector, message)

    def _take(
        self, peer: Peer, namespace: _Namespace, collector: _Collector, message: Samples | Workers | Arrivals
    ) -> None:
        if message.pool not in collector.pools and len(collector.pools) >= MAX_POOLS:
            return
        _caught_up(namespace, message.pool)
        said = collector.pools.setdefault(message.pool, Said())
        said.heard_at, said.vouch = self._clock(), collector.vouch
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

    def settings(self, namespace: str, pool: str, delivery: Delivery, shares: Mapping[str, Share]) -> None:
        """Live settings of the pool's workers, and of each by itself."""
        if not self._leader:
            return
        known = self._namespaces.setdefault(namespace, _Namespace())
        wanted = (delivery, dict(shares))
        if known.settings.get(pool) != wanted:
            known.settings[pool] = wanted
            self._tell(known, f"settings/{pool}", self._settings(pool, wanted))

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

    def ask(self) -> None:
        """Ask for what nobody has said: due now and then.

        What does not change is told once, and that may have been forgotten here since, with a pool of the same name.
        """
        for name, namespace in self._namespaces.items():
            for pool in namespace.config or ():
                if lacks(_said(namespace, pool.name), queues=(queue["name"] for queue in pool.queues)):
                    self.read_now(name, pool.name, "")

    def tidy(self) -> None:
        """Forget namespaces and pools that nobody has mentioned for long: due now and then, on every replica."""
        now = self._clock()
        for name, namespace in list(self._namespaces.items()):
            self._drop_silent(namespace)
            for collector in namespace.collectors.values():
                for pool in [pool for pool, one in collector.pools.items() if now - one.known_at > SILENT_SECONDS]:
                    del collector.pools[pool]
            said = {pool for collector in namespace.collectors.values() for pool in collector.pools}
            namespace.evidence = {pool: one for pool, one in namespace.evidence.items() if pool in said}
            namespace.courses.tidy(now=now)
            if not (
                namespace.collectors or namespace.config or namespace.fences or namespace.settings or namespace.courses
            ):
                del self._namespaces[name]
        if self._readings is not None:
            if now - self._renewed_at >= RENEW_SECONDS:
                self._renewed_at = now
                self._renew_readings(self._readings)
            self._readings.tidy()

    def _tell(self, namespace: _Namespace, subject: str, message: BaseModel) -> None:
        if self._leader:
            for link in namespace.links():
                link.send(subject, message)

    def _orders(self, namespace: _Namespace) -> Iterator[tuple[str, BaseModel]]:
        if namespace.config is not None:
            yield "config", Config(epoch=self._epoch, pools=namespace.config)
            yield from namespace.courses.past(namespace.config, epoch=self._epoch)
        for pool, told in namespace.settings.items():
            yield f"settings/{pool}", self._settings(pool, told)
        for pool, held in namespace.fences.items():
            yield f"fence/{pool}", self._fence(pool, held)

    def _fence(self, pool: str, held: tuple[str, tuple[str, ...]]) -> Fence:
        return Fence(epoch=self._epoch, pool=pool, fence_id=held[0], pods=held[1])

    def _settings(self, pool: str, told: tuple[Delivery, Mapping[str, Share]]) -> PoolSettings:
        return PoolSettings(epoch=self._epoch, pool=pool, delivery=told[0], shares=dict(told[1]))

    def _take_samples(self, said: Said, message: Samples, evidence: Evidence) -> bool:
        now, before = self._clock(), said.samples
        said.take_samples(message, now=now)
        evidence.take_samples(message.samples, now=now)
        return any(
            sample.queue not in before or _meaning(before[sample.queue].what) != _meaning(sample)
            for sample in message.samples
        )

    def _tell_readings(self, namespace: str, message: Samples) -> None:
        if self._readings is not None:
            for sample in message.samples:
                tell_reading(self._readings, namespace, message.pool, sample, age=sample.age_seconds)

    def _renew_readings(self, readings: Readings) -> None:
        now = self._clock()
        for name, namespace in self._namespaces.items():
            for collector in namespace.collectors.values():
                for pool, said in collector.pools.items():
                    for told in said.samples.values():
                        if told.vouch is not None:
                            tell_reading(readings, name, pool, told.what, age=now - told.moment)

    def _take_workers(self, said: Said, message: Workers, evidence: Evidence, *, fenced: bool) -> bool:
        """While nobody is fenced, how many jobs each worker has changes no decision."""
        now = self._clock()
        before = {uid: _standing(told.what, busy=fenced) for uid, told in said.workers.items()}
        said.take_workers(message, now=now)
        evidence.take_reports(message.workers, now=now)
        return before != {report.uid: _standing(report, busy=fenced) for report in message.workers}

    def _drop_silent(self, namespace: _Namespace) -> None:
        now = self._clock()
        for pod, collector in list(namespace.collectors.items()):
            if collector.link is None and now - collector.left_at > SILENT_SECONDS:
                del namespace.collectors[pod]


def _caught_up(namespace: _Namespace, pool: str) -> list[Said]:
    """What all collectors said of the pool; its evidence has what of that is held."""
    said = _said(namespace, pool)
    if pool in namespace.evidence:
        namespace.evidence[pool].catch_up(said)
    return said


def _said(namespace: _Namespace, pool: str) -> list[Said]:
    return [collector.pools[pool] for collector in namespace.collectors.values() if pool in collector.pools]


def _meaning(sample: QueueSample) -> object:
    """What of a reading a size or a condition may follow from."""
    return (sample.waiting, sample.in_flight, sample.error, sample.message)


def _standing(report: WorkerReport, *, busy: bool) -> object:
    work = (report.in_flight, report.remaining_seconds is None) if busy else None
    return (report.connected, report.fence, report.draining, report.source, report.share, work)
