"""What workers' metrics say of the jobs since a moment, added up over all workers: pure.

Histograms hold counts by bounds, so of a quantile it is only known between which two it lies. They hold the jobs of
everybody who feeds the queue.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Self

from prometheus_client.parser import text_string_to_metric_families

WAIT: Final = "job_wait_seconds"
RUN: Final = "job_processing_seconds"
_DONE: Final = "jobs_processed"
"""Without `_total`: the parser's names of families."""


@dataclass(frozen=True, slots=True)
class Between:
    """A time lies above `low` and at `high` at most, in seconds; `high` is infinite beyond the last bound."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Spread:
    """Counts of times by upper bound, in seconds, the last one infinite; not cumulative."""

    counts: Mapping[float, float] = field(default_factory=dict)
    sum: float = 0.0

    @property
    def count(self) -> float:
        """Of all."""
        return sum(self.counts.values())

    @property
    def mean(self) -> float | None:
        """In seconds, exact; None of none."""
        return self.sum / self.count if self.count else None

    def quantile(self, share: float) -> Between | None:
        """By nearest rank; None of none."""
        if self.count <= 0:
            return None
        rank, seen, low = max(1, math.ceil(share * self.count)), 0.0, 0.0
        for high in sorted(self.counts):
            seen += self.counts[high]
            if seen >= rank:
                return Between(low, high)
            low = high
        return Between(low, math.inf)

    def plus(self, other: Self) -> "Spread":
        """Both together."""
        return self._with(other, 1.0)

    def minus(self, other: Self) -> "Spread":
        """What has come since `other`."""
        return self._with(other, -1.0)

    def _with(self, other: Self, sign: float) -> "Spread":
        bounds = {*self.counts, *other.counts}
        counts = {bound: self.counts.get(bound, 0.0) + sign * other.counts.get(bound, 0.0) for bound in bounds}
        return Spread(counts, self.sum + sign * other.sum)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Of a worker, since it started; or of several, since some moment."""

    done: float = 0.0
    waits: Spread = field(default_factory=Spread)
    runs: Spread = field(default_factory=Spread)

    def plus(self, other: Self) -> "Reading":
        """Both together."""
        return Reading(done=self.done + other.done, waits=self.waits.plus(other.waits), runs=self.runs.plus(other.runs))

    def minus(self, other: Self) -> "Reading":
        """What has come since `other`."""
        return Reading(
            done=self.done - other.done, waits=self.waits.minus(other.waits), runs=self.runs.minus(other.runs)
        )


def read(text: str) -> Reading:
    """From a scrape, over all lanes and priorities.

    Raises:
        ValueError: it is none.
    """
    done, spreads = 0.0, {WAIT: Spread(), RUN: Spread()}
    for family in text_string_to_metric_families(text):
        if family.name == _DONE:
            done = sum(sample.value for sample in family.samples if sample.name == f"{_DONE}_total")
        elif family.name in spreads:
            spreads[family.name] = _spread(family.name, [(s.name, s.labels, s.value) for s in family.samples])
    return Reading(done=done, waits=spreads[WAIT], runs=spreads[RUN])


def _spread(name: str, samples: Sequence[tuple[str, Mapping[str, str], float]]) -> Spread:
    cumulative: dict[float, float] = {}
    total = 0.0
    for sample, labels, value in samples:
        if sample == f"{name}_bucket":
            bound = float(labels["le"])
            cumulative[bound] = cumulative.get(bound, 0.0) + value
        elif sample == f"{name}_sum":
            total += value
    counts, below = {}, 0.0
    for bound in sorted(cumulative):
        counts[bound], below = cumulative[bound] - below, cumulative[bound]
    return Spread(counts, total)


@dataclass(slots=True)
class Since:
    """Adds up readings of workers since `begin`.

    A worker that was there then counts from its reading then, or, if it gave none, from its first one; one that came
    later counts from its start, and so does one that has started anew. What a worker does after its last reading is
    missing.
    """

    _base: dict[str, Reading] = field(default_factory=dict)
    _unread: set[str] = field(default_factory=set)
    _last: dict[str, Reading] = field(default_factory=dict)
    _before: Reading = field(default_factory=Reading)

    def begin(self, workers: Iterable[str], readings: Mapping[str, Reading]) -> None:
        """These workers are there, and this is what they say."""
        self._base = dict(readings)
        self._unread = set(workers) - set(readings)

    def put(self, readings: Mapping[str, Reading]) -> None:
        """What they say now; those who are missing may be gone."""
        for worker, reading in readings.items():
            if worker in self._unread:
                self._unread.discard(worker)
                self._base[worker] = reading
            last = self._last.get(worker) or self._base.get(worker)
            if last is not None and reading.runs.count < last.runs.count:
                self._before = self._before.plus(self._of(worker))
                self._base.pop(worker, None)
            self._last[worker] = reading

    def now(self) -> Reading:
        """Of all workers together, since `begin`."""
        total = self._before
        for worker in self._last:
            total = total.plus(self._of(worker))
        return total

    def _of(self, worker: str) -> Reading:
        last = self._last.get(worker)
        if last is None:
            return Reading()
        base = self._base.get(worker)
        return last.minus(base) if base is not None else last
