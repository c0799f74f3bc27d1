"""What was measured of one system at one size, and the rows that are made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from bench.scale import growth

OPERATOR_ALONE: Final = "workerpool"
"""The operator's process, which the aims are about."""
WITH_COLLECTORS: Final = "workerpool-with-collectors"
"""The same with one collector a namespace: what the system costs."""
KEDA: Final = "keda"


@dataclass(frozen=True, kw_only=True)
class Lag:
    """How long objects were due before they were looked at, in seconds; None where none was."""

    p50: float | None
    p99: float | None


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Of one phase: from the first change until all objects are where they were to go."""

    seconds: float
    cpu_seconds: float
    requests: int
    lag: Lag


@dataclass(frozen=True, kw_only=True)
class Rest:
    """Of a window in which nothing changes."""

    millicores: float
    rss_mb: float
    requests_per_second: float
    lag: Lag


@dataclass(frozen=True, kw_only=True)
class Collector:
    """One real collector with the pools of one namespace."""

    start_cpu_seconds: float
    """From its start until the window."""
    millicores: float
    rss_mb: float
    requests_per_second: float


@dataclass(frozen=True, kw_only=True)
class Figures:
    """One system at one size."""

    system: str
    objects: int
    namespaces: int
    create: Cost
    rest: Rest
    start: Cost
    """A new process over what is there."""
    start_rss_mb: float
    changes: Mapping[str, Cost] = field(default_factory=dict)
    """Mass changes by name."""
    collector: Collector | None = None
    commit: str = ""
    """Of the project, as it was measured."""

    def costs(self) -> dict[str, Cost]:
        """All phases but the rest, by name."""
        return {"create": self.create, **self.changes, "cold start": self.start}


@dataclass(frozen=True, kw_only=True)
class Row:
    """What is written to the file; None: not known, as there was nothing to make it of."""

    system: str
    objects: int
    namespaces: int
    cold_start_seconds: float
    cold_start_cpu_seconds: float
    seconds_to_all_scaled: float
    growth_exponent: float | None
    rss_mb: float
    steady_cpu_millicores: float
    api_requests_per_second: float
    reconcile_lag_p99_seconds: float | None


def rows(measured: Sequence[Figures]) -> list[Row]:
    """One for each system and size; of ours one more, with the collectors counted.

    `growth_exponent` is the system's, the same in each of its rows: the largest of its phases' CPU over all sizes.
    """
    made = list[Row]()
    for one in measured:
        grown = growth.worst(cpu_by_phase(measured, one.system))
        made.append(_row(one, grown))
        if one.collector is not None:
            made.append(_with_collectors(one, one.collector, grown))
    return made


def cpu_by_phase(measured: Sequence[Figures], system: str) -> dict[str, dict[int, float]]:
    """Of one system: phase -> objects -> seconds of CPU; of the rest, millicores."""
    found: dict[str, dict[int, float]] = {}
    for one in measured:
        if one.system == system:
            for phase, cost in one.costs().items():
                found.setdefault(phase, {})[one.objects] = cost.cpu_seconds
            found.setdefault("rest", {})[one.objects] = one.rest.millicores
    return found


def _row(one: Figures, grown: float | None) -> Row:
    return Row(
        system=one.system,
        objects=one.objects,
        namespaces=one.namespaces,
        cold_start_seconds=round(one.start.seconds, 1),
        cold_start_cpu_seconds=round(one.start.cpu_seconds, 2),
        seconds_to_all_scaled=round(one.create.seconds, 1),
        growth_exponent=_rounded(grown, 3),
        rss_mb=round(max(one.rest.rss_mb, one.start_rss_mb), 1),
        steady_cpu_millicores=round(one.rest.millicores, 1),
        api_requests_per_second=round(one.rest.requests_per_second, 3),
        reconcile_lag_p99_seconds=_rounded(one.rest.lag.p99, 4),
    )


def _with_collectors(one: Figures, each: Collector, grown: float | None) -> Row:
    """The operator, and as many collectors as there are namespaces at the measured cost of one."""
    number = one.namespaces
    return Row(
        system=WITH_COLLECTORS,
        objects=one.objects,
        namespaces=number,
        cold_start_seconds=round(one.start.seconds, 1),
        cold_start_cpu_seconds=round(one.start.cpu_seconds + number * each.start_cpu_seconds, 2),
        seconds_to_all_scaled=round(one.create.seconds, 1),
        growth_exponent=_rounded(grown, 3),
        rss_mb=round(max(one.rest.rss_mb, one.start_rss_mb) + number * each.rss_mb, 1),
        steady_cpu_millicores=round(one.rest.millicores + number * each.millicores, 1),
        api_requests_per_second=round(one.rest.requests_per_second + number * each.requests_per_second, 3),
        reconcile_lag_p99_seconds=_rounded(one.rest.lag.p99, 4),
    )


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
