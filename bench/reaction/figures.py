"""What is made of what was seen of one scaler on one trace. Pure; seconds count from the start of the trace."""

from __future__ import annotations

import bisect
import itertools
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from bench.reaction.traces import DRAIN_SECONDS, SLOTS, Trace
from workerpool_operator.cli.load.reaction import Step
from workerpool_operator.cli.quantiles import Quantiles

DIRECT: Final = "workerpool-direct"
HPA: Final = "workerpool-hpa"
KEDA: Final = "keda-30s"
FAST_KEDA: Final = "keda-1s"
ADAPTER: Final = "hpa-prometheus-adapter"
SCALERS: Final = (DIRECT, HPA, KEDA, FAST_KEDA, ADAPTER)
OURS: Final = (DIRECT, HPA)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """From `at` on these pods were Ready, and none of them was being stopped."""

    at: float
    pods: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One attempt at one job, as its worker told of it."""

    pod: str
    began: float
    ended: float
    """Infinite where the worker never told of an end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """One job: when it was due, and when it was first done; infinite where it never was."""

    due: float
    done: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """All that was seen of one scaler on one trace."""

    ready: Sequence[Ready]
    """In order of time; the first at 0 or before."""
    sizes: Sequence[Step]
    """How many workers were wanted: `spec.replicas` of the Deployments; in order, the first at 0 or before."""
    works: Sequence[Work]
    jobs: Sequence[Done]
    waits: Sequence[float]
    """From when each job was due until it was first begun."""
    interrupted: int
    """Jobs begun again although no end of an earlier attempt was told: their worker was ended in the middle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The figures of one scaler on one trace."""

    scaler: str
    trace: str
    first_ready_seconds: float | None
    """From the start of the trace until a worker was Ready; 0 where one always is; None if none ever was."""
    all_ready_seconds: float | None
    """From when the trace first needs the most workers that it ever needs until so many were Ready; None if never."""
    job_wait_p95_seconds: float | None
    """Of all jobs, from when a job was due until its handler began."""
    wasted_pod_seconds: float
    """See `wasted`."""
    jobs_interrupted: int
    scale_changes: int
    """How often the wanted number of workers became another one, until the end of the trace's window."""

    @classmethod
    def of(cls, scaler: str, trace: Trace, seen: Seen) -> Row:
        """Work them out."""
        needed_at, needed = trace.needed
        return cls(
            scaler=scaler,
            trace=trace.name,
            first_ready_seconds=_rounded(_until_ready(seen.ready, 1, since=0.0)),
            all_ready_seconds=_rounded(_until_ready(seen.ready, needed, since=needed_at)),
            job_wait_p95_seconds=_rounded(Quantiles.of(seen.waits).p95),
            wasted_pod_seconds=round(wasted(seen, window=trace.window), 1),
            jobs_interrupted=seen.interrupted,
            scale_changes=sum(0.0 < step.at <= trace.window for step in seen.sizes),
        )

    def to_json(self) -> dict[str, Any]:
        """Give the row for machines."""
        return asdict(self)


def wasted(seen: Seen, *, window: float) -> float:
    """Give the pod-seconds that did nothing for any job: of Ready workers without work, and of work that was lost.

    The first is the integral over the window, from the start of the trace, of

        max(0, ready - max(busy, needed))

    ready: pods that are Ready and not being stopped; busy: those of them that run at least one job; needed: the jobs
    that are due and not done, divided by `SLOTS` and rounded up. So a worker with one job of five counts as used:
    nobody can end it without harm. A worker that starts or ends is not counted, whoever starts and ends it.

    The second is what a scaler would save that ends workers at work: all that each attempt did that was cut off,
    divided by `SLOTS`. It went on for `DRAIN_SECONDS` after its worker was told to end, or its end had been told.
    """
    return _Sweep(seen).integral(window) + lost(seen, window=window)


def lost(seen: Seen, *, window: float) -> float:
    """Give the pod-seconds of attempts whose end was never told and whose worker was told to end."""
    cut = [work for work in seen.works if math.isinf(work.ended)]
    ends = [(work, _stopped(seen.ready, work.pod, after=work.began)) for work in cut]
    lasted = [min(end + DRAIN_SECONDS, window) - work.began for work, end in ends if end is not None]
    return sum(max(0.0, seconds) for seconds in lasted) / SLOTS


def _stopped(ready: Sequence[Ready], pod: str, *, after: float) -> float | None:
    """When a pod that was Ready was so no more; None where it never ceased to be."""
    gone = (step.at for before, step in itertools.pairwise(ready) if pod in before.pods and pod not in step.pods)
    return next((at for at in gone if at >= after), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """What the project promises of itself beside its peers, and whether this run kept it."""

    promise: str
    found: str
    kept: bool


def bars(rows: Iterable[Row]) -> list[Bar]:
    """Compare; a bar whose rows were not measured, or have no value, is left out."""
    by_trace: dict[str, dict[str, Row]] = {}
    for row in rows:
        by_trace.setdefault(row.trace, {})[row.scaler] = row
    found: list[Bar] = []
    burst = by_trace.get("burst", {})
    if DIRECT in burst:
        ours = burst[DIRECT]
        if KEDA in burst:
            found += _faster("first ready", KEDA, burst[KEDA].first_ready_seconds, ours.first_ready_seconds, 10)
        if FAST_KEDA in burst:
            found += _faster("all ready", FAST_KEDA, burst[FAST_KEDA].all_ready_seconds, ours.all_ready_seconds, 2)
    for trace, by_scaler in by_trace.items():
        peers = [row.wasted_pod_seconds for name, row in by_scaler.items() if name not in OURS]
        if DIRECT in by_scaler and peers:
            ours_wasted, best = by_scaler[DIRECT].wasted_pod_seconds, min(peers)
            words = f"{ours_wasted:g} beside {best:g} pod-seconds"
            found.append(
                Bar(promise=f"{trace}: wastes no more than the best peer", found=words, kept=ours_wasted <= best)
            )
        for name in OURS:
            if name in by_scaler:
                cut = by_scaler[name].jobs_interrupted
                found.append(
                    Bar(promise=f"{trace}: {name} interrupts no job", found=f"{cut} interrupted", kept=cut == 0)
                )
    return found


def _faster(what: str, peer: str, theirs: float | None, ours: float | None, times: float) -> list[Bar]:
    if theirs is None or not ours:
        return []
    promise = f"burst: {what} at least {times:g} times as fast as {peer}"
    return [Bar(promise=promise, found=f"{theirs / ours:.1f} times", kept=theirs >= times * ours)]


def _until_ready(ready: Sequence[Ready], count: int, *, since: float) -> float | None:
    """Seconds from `since` until so many were Ready; 0 where they were then."""
    index = bisect.bisect_right([step.at for step in ready], since) - 1
    if index >= 0 and len(ready[index].pods) >= count:
        return 0.0
    return next((step.at - since for step in ready[index + 1 :] if len(step.pods) >= count), None)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


@dataclass(slots=True)
class _Sweep:
    """Goes through all that changes, in order of time."""

    seen: Seen
    _running: Counter[str] = field(default_factory=Counter)
    """Jobs by the pod that runs them."""
    _ready: frozenset[str] = frozenset()
    _outstanding: int = 0

    def integral(self, window: float) -> float:
        total, last = 0.0, 0.0
        for at, change in sorted(self._changes(), key=lambda each: each[0]):
            if at > window:
                break
            total += self._idle() * max(0.0, at - last)
            last = max(last, at)
            self._take(change)
        return total + self._idle() * (window - last)

    def _changes(self) -> Iterable[tuple[float, Ready | tuple[str, int] | int]]:
        """Times with what they bring: the Ready pods, a pod's job more or less, a job outstanding more or less."""
        for step in self.seen.ready:
            yield step.at, step
        for work in self.seen.works:
            yield work.began, (work.pod, 1)
            yield work.ended, (work.pod, -1)
        for job in self.seen.jobs:
            yield job.due, 1
            yield job.done, -1

    def _take(self, change: Ready | tuple[str, int] | int) -> None:
        match change:
            case Ready():
                self._ready = change.pods
            case (pod, more):
                self._running[pod] += more
            case int():
                self._outstanding += change

    def _idle(self) -> int:
        busy = sum(self._running[pod] > 0 for pod in self._ready)
        return max(0, len(self._ready) - max(busy, math.ceil(self._outstanding / SLOTS)))
