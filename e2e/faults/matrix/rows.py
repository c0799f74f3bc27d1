"""What was seen: one trial after the other, and the row that they make."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any, Self


class Verdict(StrEnum):
    """What came of a fault."""

    HOLDS = "holds"
    """In every trial everything held that must."""
    BROKEN = "broken"
    """In at least one of them something did not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One fault put upon one situation, once."""

    name: str
    injected: int = 1
    """How often the fault struck: requests that it met, processes killed, objects changed."""
    converged_seconds: float | None = None
    """From the fault's end until what is observed is what is desired; None where it never was, or nothing had to
    happen."""
    broken: tuple[str, ...] = ()
    """What did not hold."""
    orphans: int = 0
    """Objects that belong to nobody afterwards."""
    needless_restarts: int = 0
    """Workers made or ended beyond what the same change takes without the fault."""
    api_calls: int = 0
    """Requests of the operator, from the fault's beginning until it was over."""
    jobs_lost: int | None = None
    """None: there were no jobs."""
    jobs_duplicated: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One fault in all its trials. None: it was not measured, because it does not apply."""

    fault: str
    runs: int
    faults_injected: int
    failures_found: int
    """Trials in which something did not hold."""
    converge_p50_seconds: float | None
    converge_p99_seconds: float | None
    converge_max_seconds: float | None
    jobs_lost: int | None
    jobs_duplicated: int | None
    orphans: int
    needless_restarts: int
    api_calls: int
    write_points_total: int | None = None
    write_points_covered: int | None = None
    verdict: Verdict

    @classmethod
    def of(cls, fault: str, trials: Sequence[Trial], *, points: tuple[int, int] | None = None) -> Self:
        """Sum the trials up. `points`: how many write points there are, and how many were tried.

        Raises:
            ValueError: there is no trial; nothing can be said of a fault that was not tried.
        """
        if not trials:
            raise ValueError(f"{fault} was not tried")
        times = [one.converged_seconds for one in trials if one.converged_seconds is not None]
        failures = sum(1 for one in trials if one.broken)
        return cls(
            fault=fault,
            runs=len(trials),
            faults_injected=sum(one.injected for one in trials),
            failures_found=failures,
            converge_p50_seconds=quantile(times, 0.5),
            converge_p99_seconds=quantile(times, 0.99),
            converge_max_seconds=quantile(times, 1.0),
            jobs_lost=_sum(one.jobs_lost for one in trials),
            jobs_duplicated=_sum(one.jobs_duplicated for one in trials),
            orphans=sum(one.orphans for one in trials),
            needless_restarts=sum(one.needless_restarts for one in trials),
            api_calls=sum(one.api_calls for one in trials),
            write_points_total=points[0] if points else None,
            write_points_covered=points[1] if points else None,
            verdict=Verdict.BROKEN if failures else Verdict.HOLDS,
        )

    @classmethod
    def load(cls, stored: dict[str, Any]) -> Self:
        """Take a row from JSON.

        Raises:
            ValueError: it is no row.
        """
        if stored.keys() != {field.name for field in fields(cls)}:
            raise ValueError(f"no row of the fault matrix: {sorted(stored)}")
        return cls(**{**stored, "verdict": Verdict(stored["verdict"])})

    def dump(self) -> dict[str, Any]:
        """Give it for JSON."""
        return asdict(self)


def quantile(values: Iterable[float], share: float) -> float | None:
    """The smallest value that so large a share of them does not exceed (nearest rank); None without values."""
    ordered = sorted(values)
    if not ordered:
        return None
    return round(ordered[max(0, math.ceil(share * len(ordered)) - 1)], 2)


def _sum(counts: Iterable[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
