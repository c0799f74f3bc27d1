"""What a collector says of one pool (`/v1/state`), and what follows from two of its answers: pure.

Its answer is of another program, of another release maybe: what is not as expected is left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Of one pool, at one moment."""

    at: float
    """Monotonic, seconds."""
    waiting: int | None = None
    """Jobs, in all queues that can be read."""
    oldest_seconds: float | None = None
    """How long the job has waited that waits longest."""
    in_flight: Mapping[str, int] = field(default_factory=dict)
    """Jobs, by pod."""
    ended: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """Attempts since the process began, by pod and boot."""

    def per_second(self, before: "Figures | None") -> float | None:
        """Attempts that ended per second since then, by workers that were there then; None for no such figure."""
        rates = self.by_pod(before)
        return sum(rates.values()) if rates or (before is not None and not self.ended) else None

    def by_pod(self, before: "Figures | None") -> dict[str, float]:
        """The same for each pod."""
        if before is None or self.at <= before.at:
            return {}
        return {
            pod: max(0, ended - before.ended[pod, boot]) / (self.at - before.at)
            for (pod, boot), ended in self.ended.items()
            if (pod, boot) in before.ended
        }


def read(state: object, pool: str, *, at: float) -> Figures | None:
    """From the collector's answer; None where it does not know the pool."""
    if not isinstance(state, Mapping) or not isinstance(pools := state.get("pools"), Mapping):
        return None
    said = pools.get(pool)
    if not isinstance(said, Mapping):
        return None
    queues, workers = _dicts(said.get("queues")), _dicts(said.get("workers"))
    waiting = [count for queue in queues if (count := _count(queue.get("waiting"))) is not None]
    ages = [age for queue in queues if (age := _number(queue.get("oldest_age_seconds"))) is not None]
    ended: dict[tuple[str, str], int] = {}
    for worker in workers:
        counters = worker.get("counters")
        if isinstance(counters, Mapping):
            total = (_count(counters.get("processed")) or 0) + (_count(counters.get("failed")) or 0)
            ended[str(worker.get("pod")), str(worker.get("boot_id", ""))] = total
    return Figures(
        at=at,
        waiting=sum(waiting) if waiting else None,
        oldest_seconds=max(ages) if ages else (0.0 if waiting and not sum(waiting) else None),
        in_flight={str(worker.get("pod")): _count(worker.get("in_flight")) or 0 for worker in workers},
        ended=ended,
    )


def _dicts(value: object) -> Sequence[Json]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
