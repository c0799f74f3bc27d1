"""What a person on call said about a pool's size and pace, on the resource itself, until it is taken back."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from workerpool_operator.domain.scaling.drains import DRAIN, Drain, drains_in

PAUSED: Final = "workerpool.dev/paused"
FREEZE: Final = "workerpool.dev/freeze"
FORCE_ACTIVE: Final = "workerpool.dev/force-active"
THROTTLE: Final = "workerpool.dev/throttle"
_MOST: Final = 100_000
"""As `spec.scaling.maxReplicas`."""
_RATE: Final = re.compile(r"[0-9]{1,6}([.][0-9]{1,3})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttle:
    """No more than so many jobs per second begin until then, in the whole pool."""

    per_second: float
    until: datetime

    @classmethod
    def parse(cls, text: str) -> "Throttle | None":
        """Read `RATE@END`, END as RFC 3339 has it, with its offset; None: it makes no sense."""
        rate, _, end = text.partition("@")
        try:
            until = datetime.fromisoformat(end)
        except ValueError:
            return None
        if until.tzinfo is None or not _RATE.fullmatch(rate) or float(rate) <= 0:
            return None
        return cls(per_second=float(rate), until=until)

    def __str__(self) -> str:
        """As it stands in the annotation."""
        return f"{self.per_second:.10g}@{self.until.isoformat(timespec='seconds')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """The words of the annotations."""

    frozen_in: bool = False
    """No worker is taken away."""
    frozen_out: bool = False
    """No worker is added."""
    at_least: int = 0
    """So many workers are wanted, whatever the queues and the limits on growth say."""
    throttle: Throttle | None = None
    drains: tuple[Drain, ...] = ()
    """Nodes that the pool's workers leave."""
    trouble: str = ""
    """Why one of them cannot be read."""

    def rate(self, limit: float | None, *, wall: datetime) -> float | None:
        """Jobs that may begin per second at this moment: the lower one of the pool's own limit and the throttle."""
        if self.throttle is None or wall >= self.throttle.until:
            return limit
        return min(limit or self.throttle.per_second, self.throttle.per_second)

    def draining(self, *, wall: datetime) -> tuple[Drain, ...]:
        """The drains that go on at this moment."""
        return tuple(drain for drain in self.drains if wall < drain.until)

    def changes_in(self, *, wall: datetime) -> float | None:
        """Seconds until the throttle ends; None: there is none."""
        left = 0.0 if self.throttle is None else (self.throttle.until - wall).total_seconds()
        return left if left > 0 else None


def overrides(annotations: Mapping[str, str], *, paceable: bool = True) -> Overrides:
    """Read them. One that makes no sense says nothing, and that it does so.

    `paceable`: whether the pool's workers can keep a rate together.
    """
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
    throttle = Throttle.parse(annotations[THROTTLE]) if THROTTLE in annotations else None
    if THROTTLE in annotations and throttle is None:
        troubles.append(f'{THROTTLE} is no rate with an end such as "5@2030-01-31T12:00:00Z"')
    if throttle is not None and not paceable:
        throttle = None
        troubles.append(f"{THROTTLE} cannot be kept by workers of a queue of this kind")
    drains = drains_in(annotations[DRAIN]) if DRAIN in annotations else ()
    if drains is None:
        troubles.append(f'{DRAIN} is no node with a begin and an end such as "n@2030-01-31T12:00Z/2030-01-31T13:00Z"')
    return Overrides(
        frozen_in=paused == "true" or freeze in {"in", "both"},
        frozen_out=paused == "true" or freeze in {"out", "both"},
        at_least=int(forced),
        throttle=throttle,
        drains=drains or (),
        trouble="; ".join(troubles),
    )
