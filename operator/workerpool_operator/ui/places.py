"""Where a pool's workers are: its places, who runs in each, and what is failed over and since when. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from workerpool_operator.api import PLACE_ANNOTATION
from workerpool_operator.domain.desired import PLACE_LABEL, place_key
from workerpool_operator.domain.placement import PRIMARY, SECONDARY
from workerpool_operator.ui.shared import condition, pod_word
from workerpool_operator.ui.state import State

Json = Mapping[str, Any]

_TONES: Final = {"True": "good", "False": "busy"}
_LOST: Final = frozenset({"FailedOver", "FailbackWaits"})


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


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementView:
    """All places of a pool."""

    state: State
    """Of the condition `Placed`."""
    message: str
    lines: Sequence[PlaceLine]
    lost: int
    active: str
    since: str
    """Since when workers are added to `active`."""
    timeout: int
    by_hand: bool
    """Whether workers come back only when somebody says so."""


def home_of(pool: Json) -> str:
    """What the pool calls the place that its workers belong to; empty: it names no places."""
    places = _selectors(pool)
    wished = str((pool["metadata"].get("annotations") or {}).get(PLACE_ANNOTATION) or PRIMARY)
    return (wished if wished in places else PRIMARY) if places else ""


def destinations(pool: Json) -> list[str]:
    """Places that workers may be sent to now: the other one, and home, where they wait for the word to come back."""
    places, home = _selectors(pool), home_of(pool)
    found = [name for name in places if name != home]
    said = (pool["metadata"].get("annotations") or {}).get(PLACE_ANNOTATION)
    if found and said != home and _placement(pool).get("failback") == "Manual" and _lost(pool):
        found.append(home)
    return found


def placement(pool: Json, pods: Iterable[Json]) -> PlacementView | None:
    """None where the pool names no places, and no worker is in one that it named before."""
    spec, status = _placement(pool), (pool.get("status") or {}).get("placement") or {}
    keys = {name: place_key(selector) for name, selector in _selectors(pool).items()}
    there: Counter[str] = Counter()
    ready: Counter[str] = Counter()
    pending: Counter[str] = Counter()
    for pod in pods:
        key, word = str((pod["metadata"].get("labels") or {}).get(PLACE_LABEL, "")), pod_word(pod)
        if pod["metadata"].get("deletionTimestamp"):
            continue
        there[key] += 1
        ready[key] += word == "Ready"
        pending[key] += not (pod.get("spec") or {}).get("nodeName")
    former = [key for key in there if key not in keys.values()]
    if not keys and not any(former):
        return None
    home, active, placed = home_of(pool), str(status.get("active") or ""), condition(pool, "Placed")
    word = str(placed.get("reason") or "Unknown")
    tone = "bad" if word in _LOST else _TONES.get(str(placed.get("status")), "none")
    lines = [(name, key, _labels(_selectors(pool)[name])) for name, key in keys.items()]
    lines += [("", key, "named before, or none") for key in sorted(former)]
    return PlacementView(
        state=State(word, tone),
        message=str(placed.get("message") or ""),
        lines=[
            PlaceLine(
                name=name,
                nodes=nodes,
                home=bool(name) and name == home,
                active=bool(name) and name == active,
                ready=ready[key],
                pods=there[key],
                pending=pending[key],
            )
            for name, key, nodes in lines
        ],
        lost=_lost(pool),
        active=active,
        since=str(status.get("since") or ""),
        timeout=int(spec.get("failoverTimeoutSeconds") or 30),
        by_hand=spec.get("failback") == "Manual",
    )


def _placement(pool: Json) -> Json:
    return (pool.get("spec") or {}).get("placement") or {}


def _selectors(pool: Json) -> dict[str, Mapping[str, str]]:
    if not isinstance((pool.get("spec") or {}).get("placement"), Mapping):
        return {}
    said = _placement(pool)
    found = {PRIMARY: (said.get("primary") or {}).get("nodeSelector") or {}}
    if isinstance(secondary := said.get("secondary"), Mapping):
        found[SECONDARY] = secondary.get("nodeSelector") or {}
    return found


def _lost(pool: Json) -> int:
    return int(((pool.get("status") or {}).get("placement") or {}).get("lost") or 0)


def _labels(selector: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(selector.items())) or "any node"
