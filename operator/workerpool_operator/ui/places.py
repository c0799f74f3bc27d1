"""Where a pool's workers are, as the page shows it: with the colour of its state. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from workerpool_operator.ui.shared import Placed, placed, progress
from workerpool_operator.ui.state import State

Json = Mapping[str, Any]

_TONES: Final = {"True": "good", "False": "busy"}
_LOST: Final = frozenset({"FailedOver", "FailbackWaits"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementView:
    """All places of a pool."""

    state: State
    """Of the condition `Placed`."""
    placed: Placed
    progress: str
    """How far a failover, a failback or a move is; empty while nothing moves."""


def placement(pool: Json, pods: Iterable[Json]) -> PlacementView | None:
    """None where the pool names no places, and no worker is in one that it named before."""
    found = placed(pool, pods)
    if found is None:
        return None
    tone = "bad" if found.reason in _LOST else _TONES.get(found.status, "none")
    return PlacementView(state=State(found.reason, tone), placed=found, progress=progress(found))
