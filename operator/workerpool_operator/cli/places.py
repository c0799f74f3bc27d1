"""Where a pool's workers are: its places, who runs in each, and how far a move between them is. Pure.

Takes objects as the API server gives them, of this operator or of another release.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from workerpool_operator.api import PLACE_ANNOTATION, Reason
from workerpool_operator.cli.get.rows import age, condition, when
from workerpool_operator.cli.hints import where
from workerpool_operator.cli.pods import lost_nodes, pod_state
from workerpool_operator.domain.desired import PLACE_LABEL, place_key
from workerpool_operator.domain.placement import PRIMARY, SECONDARY, told_home

Json = Mapping[str, Any]

_FORMER: Final = "a place that the pool named before"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceLine:
    """One place."""

    name: str
    """primary or secondary; empty: one that the pool named before."""
    nodes: str
    """Labels of its nodes."""
    home: bool
    """Whether the workers belong there."""
    active: bool
    """Whether workers are added there."""
    ready: int
    pods: int
    """Ready ones included, those that are being deleted not."""
    pending: int
    """Of these without a node."""
    lost: int = 0
    """Of these on a node of which nothing is heard: they are fenced, and count as lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """All places of a pool, as its status says it."""

    namespace: str
    pool: str
    status: str
    """Of the condition `Placed`: True, False or Unknown."""
    reason: str
    message: str
    since: str
    """When that status began."""
    lines: Sequence[PlaceLine]
    lost: int
    """Workers that count as lost, and are made up for."""
    active: str
    active_since: str
    """Since when workers are added to `active`."""
    timeout: int
    by_hand: bool
    """Whether workers come back only when somebody says so."""
    said: bool
    """Whether somebody has, since they were lost."""
    told: bool
    """Whether a person has said where the workers belong."""

    @property
    def home(self) -> str:
        """The place that the workers belong to; empty: the pool names none."""
        return next((line.name for line in self.lines if line.home), "")


def home_of(pool: Json) -> str:
    """What the pool calls the place that its workers belong to; empty: it names no places."""
    places = _selectors(pool)
    wished = _wished(pool) or PRIMARY
    return (wished if wished in places else PRIMARY) if places else ""


def destinations(pool: Json) -> list[str]:
    """Places that workers may be sent to now: the other one, and home, where they wait for the word to come back."""
    places, home = _selectors(pool), home_of(pool)
    found = [name for name in places if name != home]
    if found and not _said(pool) and _placement(pool).get("failback") == "Manual" and _lost(pool):
        found.append(home)
    return found


def place_of(pool: Json, pod: Json) -> str:
    """What the pool calls the place that a pod was made for; empty: none, or one that it named before."""
    key = _key(pod)
    return next((name for name, selector in _selectors(pool).items() if place_key(selector) == key), "")


def placed(pool: Json, pods: Iterable[Json]) -> Placed | None:
    """None where the pool names no places, and no worker is in one that it named before, or leaves it.

    Without pods (`()`) what the status says of the places, with no counts.
    """
    spec, status = _placement(pool), _status(pool)
    keys = {name: place_key(selector) for name, selector in _selectors(pool).items()}
    counts = _counted(pods, lost_nodes(pool))
    former = sorted(key for key in counts["pods"] if key not in keys.values())
    told = condition(pool, "Placed")
    if not keys and not any(former) and told.get("status") != "False":
        return None
    home, active = home_of(pool), str(status.get("active") or "")
    lines = [(name, key, labels(_selectors(pool)[name])) for name, key in keys.items()]
    lines += [("", key, "named before, or none") for key in former]
    return Placed(
        namespace=str(pool["metadata"].get("namespace", "")),
        pool=str(pool["metadata"]["name"]),
        status=str(told.get("status") or "Unknown"),
        reason=str(told.get("reason") or "Unknown"),
        message=str(told.get("message") or ""),
        since=str(told.get("lastTransitionTime") or ""),
        lines=[
            PlaceLine(
                name=name,
                nodes=nodes,
                home=bool(name) and name == home,
                active=bool(name) and name == active,
                ready=counts["ready"][key],
                pods=counts["pods"][key],
                pending=counts["pending"][key],
                lost=counts["lost"][key],
            )
            for name, key, nodes in lines
        ],
        lost=_lost(pool),
        active=active,
        active_since=str(status.get("since") or ""),
        timeout=int(spec.get("failoverTimeoutSeconds") or 30),
        by_hand=spec.get("failback") == "Manual",
        said=_said(pool),
        told=bool(_wished(pool)),
    )


def _counted(pods: Iterable[Json], silent: frozenset[str]) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {name: Counter() for name in ("pods", "ready", "pending", "lost")}
    for pod in pods:
        if pod["metadata"].get("deletionTimestamp"):
            continue
        key, node = _key(pod), (pod.get("spec") or {}).get("nodeName")
        found["pods"][key] += 1
        found["ready"][key] += pod_state(pod) == "Ready" and node not in silent
        found["pending"][key] += not node
        found["lost"][key] += node in silent
    return found


def progress(view: Placed) -> str:
    """How far a failover, a failback or a move is, by the pods that there are; empty while nothing moves."""
    home = next((line for line in view.lines if line.home), None)
    elsewhere = [line for line in view.lines if not line.home and line.pods]
    away, away_ready = sum(line.pods for line in elsewhere), sum(line.ready for line in elsewhere)
    there = f"{home.ready} ready in the {home.name} place" if home else ""
    match view.reason:
        case Reason.MOVING:
            left = f"{away} still in {_names(elsewhere)}" if away else "none left elsewhere"
            return ", ".join(filter(None, (f"move: {there}" if there else "move", left)))
        case Reason.FAILED_OVER:
            return f"failover: {away_ready} of {max(away, view.lost)} ready in {_names(elsewhere) or view.active}"
        case Reason.FAILING_BACK | Reason.FAILBACK_WAITS:
            return f"failback: {there}, {away} still in {_names(elsewhere) or view.active}"
    return ""


def told(view: Placed, *, now: datetime, context: str | None = None) -> Iterator[str]:
    """The state in sentences: whether the workers are where they belong, what is in use since when, what ends it.

    `context`: the one that was named for the cluster, for commands that a sentence names.
    """
    since = f", for {age(view.since, now=now)}" if view.since else ""
    yield f"Placed={view.status}{since}: {view.reason}" + (f": {view.message}" if view.message else "")
    if view.active:
        lost = f", {view.lost} of those that belong to the {view.home} one count as lost" if view.lost else ""
        yield f"workers are added to the {view.active} place, for {age(view.active_since or None, now=now)}{lost}"
    if view.home:
        who = "as wpool migrate said, until it says otherwise" if view.told else "as the pool says"
        yield f"they belong to the {view.home} place, {who}"
    if until := _until(view, context):
        yield until


def _until(view: Placed, context: str | None) -> str:
    """What ends the present state."""
    match view.reason:
        case Reason.FAILED_OVER | Reason.FAILING_BACK if view.said or not view.by_hand:
            why = "as wpool migrate said" if view.by_hand else "failback: Auto"
            return f"until that place has had its workers for a minute: they come back by themselves ({why})"
        case Reason.FAILED_OVER | Reason.FAILING_BACK | Reason.FAILBACK_WAITS:
            here = where(namespace=view.namespace, context=context)
            return f"until somebody says so (failback: Manual): wpool migrate {view.pool} --to {view.home}{here}"
        case Reason.MOVING:
            return "until the last worker has moved: idle ones first, and busy ones end their jobs"
    return ""


def _names(lines: Iterable[PlaceLine]) -> str:
    return " and ".join(f"the {line.name} place" if line.name else _FORMER for line in lines)


def _key(pod: Json) -> str:
    return str((pod["metadata"].get("labels") or {}).get(PLACE_LABEL, ""))


def _said(pool: Json) -> bool:
    """Whether somebody has said that the workers belong home, since they were lost."""
    home, status = home_of(pool), _status(pool)
    since = when(status.get("since")) if status.get("active") != home else None
    return told_home(pool["metadata"].get("annotations") or {}, home=home, lost_since=since)


def _wished(pool: Json) -> str:
    return str((pool["metadata"].get("annotations") or {}).get(PLACE_ANNOTATION) or "")


def _placement(pool: Json) -> Json:
    return (pool.get("spec") or {}).get("placement") or {}


def _status(pool: Json) -> Json:
    return (pool.get("status") or {}).get("placement") or {}


def _selectors(pool: Json) -> dict[str, Mapping[str, str]]:
    if not isinstance((pool.get("spec") or {}).get("placement"), Mapping):
        return {}
    said = _placement(pool)
    found = {PRIMARY: (said.get("primary") or {}).get("nodeSelector") or {}}
    if isinstance(secondary := said.get("secondary"), Mapping):
        found[SECONDARY] = secondary.get("nodeSelector") or {}
    return found


def _lost(pool: Json) -> int:
    return int(_status(pool).get("lost") or 0)


def labels(selector: Mapping[str, str]) -> str:
    """Of nodes, in one line."""
    return ", ".join(f"{key}={value}" for key, value in sorted(selector.items())) or "any node"
