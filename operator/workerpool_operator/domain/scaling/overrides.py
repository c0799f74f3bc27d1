"""What a person on call said about a pool's size, on the resource itself, until it is taken back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

PAUSED: Final = "workerpool.dev/paused"
FREEZE: Final = "workerpool.dev/freeze"
FORCE_ACTIVE: Final = "workerpool.dev/force-active"
_MOST: Final = 100_000
"""As `spec.scaling.maxReplicas`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """The words of the annotations."""

    frozen_in: bool = False
    """No worker is taken away."""
    frozen_out: bool = False
    """No worker is added."""
    at_least: int = 0
    """So many workers are wanted, whatever the queues and the limits on growth say."""
    trouble: str = ""
    """Why one of them cannot be read."""


def overrides(annotations: Mapping[str, str]) -> Overrides:
    """Read them. One that makes no sense says nothing, and that it does so."""
    paused, freeze = annotations.get(PAUSED, "false"), annotations.get(FREEZE, "")
    forced = annotations.get(FORCE_ACTIVE, "0")
    troubles = []
    if paused not in {"true", "false"}:
        troubles.append(f'{PAUSED} is neither "true" nor "false"')
    if freeze not in {"", "in", "out", "both"}:
        troubles.append(f'{FREEZE} is neither "in", "out" nor "both"')
    if not (forced.isascii() and forced.isdigit() and len(forced) <= len(str(_MOST)) and int(forced) <= _MOST):
        troubles.append(f'{FORCE_ACTIVE} is no number of workers such as "5"')
        forced = "0"
    return Overrides(
        frozen_in=paused == "true" or freeze in {"in", "both"},
        frozen_out=paused == "true" or freeze in {"out", "both"},
        at_least=int(forced),
        trouble="; ".join(troubles),
    )
