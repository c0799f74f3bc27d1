"""What is shown of a pool, its pods, its events, and of budgets: pure. Objects in as the API server gives them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from workerpool_operator.domain.desired import VERSION_LABEL
from workerpool_operator.domain.trouble import troubles
from workerpool_operator.ui.chart import Interval, interval
from workerpool_operator.ui.shared import LOST, UNKNOWN, Row, canary_of, condition, pod_word, rollout_of
from workerpool_operator.ui.state import State

Json = Mapping[str, Any]

MOST_PODS: Final = 200
MOST_EVENTS: Final = 50
_TROUBLE_WHEN_TRUE: Final = frozenset({"Stalled"})
_NO_TROUBLE: Final = frozenset({"Progressing"})
_POD_TONES: Final = {
    "Ready": "good",
    "Draining": "busy",
    "Pending": "busy",
    "NotReady": "busy",
    "ContainerCreating": "busy",
}
_NO_TIME: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLine:
    """A row of the table of pools."""

    row: Row
    state: State
    key: str
    born: str
    canary: str
    canary_tone: str
    depth: int
    """To sort by; -1: not known."""


def key_of(pool: Json) -> str:
    """Of the row: its id in the page, and its place in the order."""
    metadata = pool["metadata"]
    return f"{metadata.get('namespace', '')}/{metadata['name']}"


def pool_line(pool: Json) -> PoolLine:
    """Of a WorkerPool. The age is left to the browser: no row changes because time goes by."""
    row = Row.of(pool, now=_NO_TIME)
    depth = ((pool.get("status") or {}).get("scaling") or {}).get("depth")
    canary, tone = _canary_words(rollout_of(pool))
    return PoolLine(
        row=row,
        state=pool_state(pool),
        key=key_of(pool),
        born=str(pool["metadata"].get("creationTimestamp") or ""),
        canary=canary,
        canary_tone=tone,
        depth=-1 if depth is None else int(depth),
    )


def pool_state(pool: Json) -> State:
    """Ready, on its way, or in need of somebody: by the same rule as `wpool doctor`."""
    if (worst := next(iter(troubles(pool)), None)) is not None and worst.grave:
        return State(worst.reason or f"{worst.type}={worst.status}", "bad")
    ready = condition(pool, "Ready")
    if ready.get("status") == "True":
        return State("Ready", "good")
    if ready.get("status") == "Unknown" or not ready:
        return State("Unknown", "none")
    return State("Progressing", "busy")


def _canary_words(rollout: Json) -> tuple[str, str]:
    if rollout.get("canary"):
        verdict = str(rollout.get("verdict") or "no verdict yet")
        tone = {"Pass": "good", "Fail": "bad"}.get(verdict, "busy")
        return f"{rollout.get('weight', 0)} % · {verdict}", tone
    if rollout.get("wanted") and rollout.get("wanted") in (rollout.get("rejected") or ()):
        return "rejected", "bad"
    return UNKNOWN, "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Of all pools that are shown."""

    pools: int
    troubled: int
    waiting: int
    ready: int
    desired: int


def totals(pools: Iterable[Json]) -> Totals:
    """Added up; what is not known counts as nothing."""
    count = troubled = waiting = ready = desired = 0
    for pool in pools:
        status: Json = pool.get("status") or {}
        scaling: Json = status.get("scaling") or {}
        count += 1
        troubled += pool_state(pool).tone == "bad"
        waiting += scaling.get("depth") or 0
        ready += status.get("readyReplicas") or 0
        desired += scaling.get("desired") or 0
    return Totals(pools=count, troubled=troubled, waiting=waiting, ready=ready, desired=desired)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionLine:
    """One condition."""

    type: str
    state: State
    reason: str
    message: str
    since: str


def conditions(pool: Json) -> list[ConditionLine]:
    """All of them, those in trouble first."""
    found = []
    for one in (pool.get("status") or {}).get("conditions") or ():
        kind, status = str(one.get("type", "")), str(one.get("status", "Unknown"))
        bad = status == ("True" if kind in _TROUBLE_WHEN_TRUE else "False") and kind not in _NO_TROUBLE
        tone = "bad" if bad else "none" if status == "Unknown" or kind in _NO_TROUBLE else "good"
        found.append(
            ConditionLine(
                type=kind,
                state=State(status, tone),
                reason=str(one.get("reason", "")),
                message=str(one.get("message", "")),
                since=str(one.get("lastTransitionTime", "")),
            )
        )
    return sorted(found, key=lambda line: line.state.tone != "bad")


@dataclass(frozen=True, slots=True, kw_only=True)
class PodLine:
    """One worker pod."""

    name: str
    state: State
    version: str
    node: str
    born: str
    restarts: int
    in_flight: int | None
    per_minute: float | None


def pods(
    objects: Iterable[Json],
    *,
    in_flight: Mapping[str, int],
    rates: Mapping[str, float],
    lost: Collection[str] = (),
) -> list[PodLine]:
    """Those in trouble first, then by name. `lost`: nodes of which nothing is heard."""
    found = []
    for pod in objects:
        name = pod["metadata"]["name"]
        node = str((pod.get("spec") or {}).get("nodeName") or UNKNOWN)
        word = LOST if node in lost else pod_word(pod)
        rate = rates.get(name)
        statuses = (pod.get("status") or {}).get("containerStatuses") or ()
        found.append(
            PodLine(
                name=name,
                state=State(word, _POD_TONES.get(word, "bad")),
                version=str((pod["metadata"].get("labels") or {}).get(VERSION_LABEL, UNKNOWN)),
                node=node,
                born=str(pod["metadata"].get("creationTimestamp") or ""),
                restarts=sum(int(one.get("restartCount", 0)) for one in statuses),
                in_flight=in_flight.get(name),
                per_minute=None if rate is None else rate * 60,
            )
        )
    return sorted(found, key=lambda line: (line.state.tone != "bad", line.name))


@dataclass(frozen=True, slots=True, kw_only=True)
class EventLine:
    """One event."""

    warning: bool
    reason: str
    note: str
    count: int
    at: str


def events(objects: Iterable[Json]) -> list[EventLine]:
    """The newest first."""
    found = []
    for event in objects:
        series: Json = event.get("series") or {}
        times = (series.get("lastObservedTime"), event.get("deprecatedLastTimestamp"), event.get("eventTime"))
        at = next((str(time) for time in times if time), str(event["metadata"].get("creationTimestamp") or ""))
        found.append(
            EventLine(
                warning=event.get("type") == "Warning",
                reason=str(event.get("reason") or ""),
                note=str(event.get("note") or ""),
                count=int(series.get("count") or event.get("deprecatedCount") or 1),
                at=at,
            )
        )
    return sorted(found, key=lambda line: line.at, reverse=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutView:
    """A version that is tried, or that nothing is tried."""

    canary: str
    stable: str
    rejected: bool
    """What the pool asks for was tried, and went."""
    said: str
    """What is going on, in a sentence."""
    told: Sequence[str]
    """The verdict with its criterion and figures, what would decide it, what is missing, what it waits for."""
    verdict: State
    facts: Sequence[tuple[str, str]]
    ratio: str
    low: str
    high: str
    tolerate: str
    reject: str
    picture: Interval | None


def rollout(pool: Json) -> RolloutView | None:
    """None where versions take over without a canary."""
    said, canary = rollout_of(pool), canary_of(pool)
    if not said or canary is None:
        return None
    analysis: Json = ((pool.get("spec") or {}).get("rollout") or {}).get("analysis") or {}
    words = {key: str(said.get(key) or "") for key in ("ratio", "ratioLow", "ratioHigh")}
    tolerate, reject = str(analysis.get("tolerateRatio", "1.25")), str(analysis.get("rejectRatio", "3"))
    verdict = str(said.get("verdict") or "")
    tone = {"Pass": "good", "Fail": "bad", "Inconclusive": "busy"}.get(verdict, "none")
    facts = (
        ("Step", f"{said['step']}, {said.get('weight', 0)} % of the workers" if said.get("step") else ""),
        ("Share of the jobs", str(said.get("jobShare") or "")),
        ("Measured", f"{said['measuredSeconds']} s" if said.get("measuredSeconds") else ""),
        ("First attempts", str(said.get("jobs") or "")),
        ("Of them failed", str(said.get("failures") if said.get("jobs") else "")),
        ("Would have been found", said.get("minimumDetectableRatio") and f"{said['minimumDetectableRatio']} times"),
    )
    return RolloutView(
        canary=str(said.get("canary") or ""),
        stable=str(said.get("stable") or ""),
        rejected=bool(said.get("wanted")) and said.get("wanted") in (said.get("rejected") or ()),
        said=_sentence(canary.said),
        told=[_sentence(line) for line in canary.lines[1:]],
        verdict=State(verdict or "None yet", tone),
        facts=[(name, str(value)) for name, value in facts if value],
        ratio=words["ratio"],
        low=words["ratioLow"],
        high=words["ratioHigh"],
        tolerate=tolerate,
        reject=reject,
        picture=interval(
            low=words["ratioLow"], high=words["ratioHigh"], ratio=words["ratio"], tolerate=tolerate, reject=reject
        ),
    )


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}{'' if words.endswith(('.', '?', '!')) else '.'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetView:
    """A budget, and who has what of it."""

    name: str
    most: int
    used: int
    wanted: int
    granted: int
    pools: Sequence[Json]
    percent: float


def budgets(objects: Iterable[Json]) -> list[BudgetView]:
    """By name."""
    found = []
    for body in objects:
        status: Json = body.get("status") or {}
        most, used = int((body.get("spec") or {}).get("maxReplicas", 0)), int(status.get("used", 0))
        found.append(
            BudgetView(
                name=body["metadata"]["name"],
                most=most,
                used=used,
                wanted=int(status.get("wanted", 0)),
                granted=int(status.get("granted", 0)),
                pools=[
                    {"priority": 0, "wanted": 0, "granted": 0, "used": 0, **one} for one in status.get("pools") or ()
                ],
                percent=min(100.0, 100 * used / most) if most else 0.0,
            )
        )
    return sorted(found, key=lambda one: one.name)
