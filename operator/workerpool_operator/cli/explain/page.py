"""The screen: pure. Takes a pool as the API server gives it, of this operator or of another release."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from workerpool_operator.api import Limiter
from workerpool_operator.api.docs import member_docs
from workerpool_operator.cli.canary import canary_of
from workerpool_operator.cli.get.rows import UNKNOWN, Json, age, condition, known
from workerpool_operator.cli.places import placed, told

DEFAULT_SLOTS: Final = 20
"""Of `spec.worker.maxWorkers`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """What one target asks for; `why` where it cannot say."""

    name: str
    workers: int | None
    why: str
    wins: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """A queue as it was last read. `-` stands where nothing is known."""

    name: str
    waiting: str
    running: str
    oldest: str
    read: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Everything that is shown."""

    title: str
    terms: tuple[Term, ...]
    limits: tuple[tuple[str, str], ...]
    """What kept the size from being what was asked for, with what that means, in the order in which they acted."""
    queues: tuple[Queue, ...]
    forecast: str
    """What the pool's forecast asks for, or why nothing; empty where it wants none."""
    budget: str
    """How much of what it would have its budget lets it have; empty where it names none."""
    downstream: str
    """How many jobs what they call may get at a time; empty where nobody has said how many it bears."""
    canary: tuple[str, ...]
    """Of the rollout: the verdict with its criterion and figures, what would decide it, what it waits for."""
    place: tuple[str, ...]
    """Where the workers are, why, since when, and until when; empty where the pool names no places."""
    troubles: tuple[str, ...]

    @classmethod
    def of(cls, pool: Json, *, now: datetime, context: str | None = None) -> "Page":
        """Of a WorkerPool. `context`: the one that was named for the cluster, for commands that the page names."""
        status: Json = pool.get("status") or {}
        scaling: Json = status.get("scaling") or {}
        texts = member_docs(Limiter)
        canary, view = canary_of(pool, context=context), placed(pool, ())
        fresh = condition(pool, "QueueReachable").get("status") == "True"
        meanings = {limiter.value: " ".join(texts[limiter.name].split()) for limiter in Limiter}
        return cls(
            title=_title(pool, status, scaling),
            terms=_terms(scaling),
            limits=tuple((name, meanings.get(name, "")) for name in scaling.get("limitedBy") or ()),
            queues=tuple(_queue(one, now=now, fresh=fresh) for one in status.get("queues") or ()),
            forecast=_forecast(scaling.get("predictive") or {}),
            budget=_budget(scaling.get("budget") or {}),
            downstream=_downstream(pool, scaling),
            canary=canary.lines if canary else (),
            place=tuple(told(view, now=now, context=context)) if view else (),
            troubles=tuple(_troubles(pool)),
        )


def _title(pool: Json, status: Json, scaling: Json) -> str:
    name = f"{pool['metadata'].get('namespace', '')}/{pool['metadata']['name']}"
    if scaling.get("desired") is None:
        return f"{name}: the operator has not decided on a size yet"
    there = f"{status.get('readyReplicas', 0)} of {status.get('replicas', 0)} ready"
    given = scaling.get("size", scaling["desired"])
    brought = "" if given == scaling["desired"] else f", brought to {given}"
    how = f"mode {scaling.get('mode') or UNKNOWN}, {scaling.get('reason') or UNKNOWN}"
    return f"{name}: {scaling['desired']} wanted{brought}, {there} ({how})"


def _terms(scaling: Json) -> tuple[Term, ...]:
    told = list(scaling.get("terms") or ())
    most = max((one["value"] for one in told if one.get("value") is not None), default=None)
    found = [
        Term(
            name=str(one.get("name", UNKNOWN)),
            workers=one.get("value"),
            why=str(one.get("message") or ""),
            wins=most is not None and one.get("value") == most,
        )
        for one in told
    ]
    return tuple(sorted(found, key=lambda term: (term.workers is None, -(term.workers or 0), term.name)))


def _queue(queue: Json, *, now: datetime, fresh: bool) -> Queue:
    """`fresh`: each queue's last reading is young enough to count, however long ago it was first read like that."""
    oldest = queue.get("oldestAgeSeconds")
    read = age(queue.get("sampleTime"), now=now)
    if queue.get("reachable") is False:
        read = "cannot be read"
    elif fresh and read != UNKNOWN:
        read = f"in time, the same for {read}"
    return Queue(
        name=str(queue.get("name", UNKNOWN)),
        waiting=known(queue.get("depth")),
        running=known(queue.get("inFlight")),
        oldest=UNKNOWN if oldest is None else f"{oldest}s",
        read=read,
    )


def _forecast(said: Json) -> str:
    if not said:
        return ""
    mode = said.get("mode") or UNKNOWN
    jobs, workers, error = (said.get(name) for name in ("jobsPerMinute", "replicas", "errorPercent"))
    told = "" if jobs is None else f"{jobs} jobs per minute expected"
    asked = "asks for nothing" if workers is None else f"asks for {workers} workers"
    off = "" if error is None else f"forecasts of the last season were off by {error} %"
    why = str(said.get("message") or "")
    return f"forecast ({mode}): " + ", ".join(filter(None, (told, asked, why or off)))


def _budget(share: Json) -> str:
    if not share:
        return ""
    granted = share.get("granted")
    told = "does not say how many it grants" if granted is None else f"grants {granted}"
    return f"budget {share.get('name', UNKNOWN)} {told} of {share.get('wanted', UNKNOWN)} wanted"


def _downstream(pool: Json, scaling: Json) -> str:
    spec: Json = pool.get("spec") or {}
    most = (spec.get("scaling") or {}).get("downstreamMaxConcurrency") or 0
    if not most or scaling.get("desired") is None:
        return ""
    worker = (spec.get("worker") or {}).get("maxWorkers", DEFAULT_SLOTS)
    slots = (spec.get("delivery") or {}).get("concurrencyPerWorker") or worker
    workers = scaling["desired"]
    return f"{workers} workers x at most {slots} jobs = {workers * slots} of {most} that what they call bears"


def _troubles(pool: Json) -> Iterator[str]:
    """Conditions that are not as they should be, and once that they are about an earlier state of the pool."""
    for kind, good in (("ScalingActive", "True"), ("QueueReachable", "True"), ("Stalled", "False"), ("Ready", "True")):
        told = condition(pool, kind)
        if "reason" in told and told.get("status") != good:
            yield f"{kind}={told.get('status')}: {told['reason']}: {told.get('message', '')}"
    if "reason" not in (told := condition(pool, "Ready")) and told:
        yield str(told["message"])
