"""The figures of a load: as one flat object for machines, and as a table for people. Times are in seconds."""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from rich.table import Table

from workerpool_operator.cli.load.histograms import Between, Reading, Spread
from workerpool_operator.cli.load.ledger import Outcome
from workerpool_operator.cli.load.reaction import PoolHistory
from workerpool_operator.cli.load.readers import Way
from workerpool_operator.cli.quantiles import Quantiles


class End(StrEnum):
    """How a load ended."""

    DONE = "done"
    """All jobs were sent, and nothing of them is left in the queue."""
    STOPPED = "stopped"
    """The user stopped it; what was measured until then counts."""
    TIMED_OUT = "timed_out"
    """Jobs were left in the queue when patience ended."""
    BROKER_LOST = "broker_lost"
    """The broker took no more jobs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaction:
    """A pool's answers to the load."""

    decisions: Quantiles
    """From when a burst was due to the larger wanted size."""
    ready_after: tuple[float, ...]
    """From the start of the load until 1, 2, 3... workers were Ready; 0 for those that were Ready before."""
    max_desired: int
    max_ready: int
    most_nodes: int
    """The largest number of nodes with Ready workers at the same time."""

    @property
    def first_ready(self) -> float | None:
        """From the start of the load to the first Ready worker; None if none became Ready."""
        return self.ready_after[0] if self.ready_after else None

    @classmethod
    def of(cls, history: PoolHistory, *, bursts: Sequence[float]) -> "Reaction":
        """From a pool's history and the monotonic times, at least one, at which bursts were due."""
        return cls(
            decisions=Quantiles.of(history.decisions(bursts)),
            ready_after=history.until_ready(since=bursts[0]),
            max_desired=history.desired.largest,
            max_ready=history.ready.largest,
            most_nodes=history.most_nodes,
        )


@dataclass(frozen=True, slots=True)
class Told:
    """What workers' metrics said of the jobs."""

    reading: Reading
    work_seconds: float
    """From when the first job was due until the reading in which the last one was seen done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that a load measured. A count is None where nobody told it; `by` says who told the others."""

    end: End
    jobs_planned: int
    jobs_enqueued: int
    jobs_done: int | None
    jobs_dead: int | None
    jobs_lost: int | None
    """Neither done nor dead, and no longer in the queue."""
    jobs_outstanding: int | None
    """Neither done nor dead when the load ended early."""
    jobs_duplicated: int | None
    jobs_interrupted: int | None
    jobs_unconfirmed: int = 0
    """Given to the broker, and nobody knows whether it has them; counted nowhere else."""
    jobs_repeated: int = 0
    """Sent again to a broker that may have had them, and drops no second job of the same id."""
    waits: Quantiles
    """From when a job was due to its first start."""
    phases: Mapping[str, Quantiles] = field(default_factory=dict)
    """The same for each phase of a load that has some."""
    runs: Quantiles = field(default_factory=Quantiles)
    """From the start of a job to its end, of the attempt that did it."""
    first_starts: Quantiles
    """From when a burst was due to the first start of any of its jobs."""
    throughput: float | None
    """Jobs done per second, from when the first was due to when the last was done."""
    lags: Quantiles
    """How late the feeder itself was."""
    retries: int
    """Batches that had to be sent again."""
    reaction: Reaction | None
    """None where no pool was watched."""
    seconds: float
    by: Way = Way.STREAM
    why: str = ""
    """Why there are no figures of single jobs."""
    told: Reading | None = None
    """Where metrics were asked: then each quantile of waits and runs is the upper bound of where it lies."""

    @classmethod
    def of(
        cls,
        outcome: Outcome,
        *,
        end: End,
        planned: int,
        lags: Sequence[float],
        retries: int,
        reaction: Reaction | None,
        seconds: float,
        phases: Sequence[str] = (),
        unconfirmed: int = 0,
        repeated: int = 0,
        by: Way = Way.STREAM,
        why: str = "",
        told: Told | None = None,
    ) -> "Report":
        """From the counted jobs, the feeder's own figures, and, where no job was told of, what workers `told`."""
        recorded = outcome.recorded
        lost, left = (outcome.unfinished, 0) if end is End.DONE else (0, outcome.unfinished)
        report = cls(
            end=end,
            jobs_planned=planned,
            jobs_enqueued=outcome.enqueued,
            jobs_done=outcome.done if recorded else None,
            jobs_dead=outcome.dead,
            jobs_lost=lost if recorded else None,
            jobs_outstanding=left if recorded else None,
            jobs_duplicated=outcome.duplicated if recorded else None,
            jobs_interrupted=outcome.interrupted if recorded else None,
            jobs_unconfirmed=unconfirmed,
            jobs_repeated=repeated,
            waits=Quantiles.of(outcome.waits),
            phases={name: Quantiles.of(outcome.waits_of.get(burst, ())) for burst, name in enumerate(phases)},
            runs=Quantiles.of(outcome.runs),
            first_starts=Quantiles.of(outcome.first_starts),
            throughput=outcome.done / outcome.work_seconds if outcome.work_seconds else None,
            lags=Quantiles.of(lags),
            retries=retries,
            reaction=reaction,
            seconds=seconds,
            by=by if recorded else Way.DEPTH,
            why="" if recorded else why or _NOBODY_WROTE,
        )
        return report if recorded or told is None else report._by_workers(told)

    def _by_workers(self, told: Told) -> "Report":
        reading = told.reading
        return dataclasses.replace(
            self,
            jobs_done=round(reading.done),
            waits=_at_most(reading.waits),
            runs=_at_most(reading.runs),
            throughput=reading.done / told.work_seconds if reading.done and told.work_seconds > 0 else None,
            by=Way.WORKERS,
            told=reading,
        )

    def to_json(self) -> dict[str, Any]:
        """A flat object, but for the phases; null is "not measured"."""
        reaction = self.reaction
        figures: dict[str, Any] = {
            each.name: getattr(self, each.name) for each in dataclasses.fields(self) if each.name.startswith("jobs_")
        }
        for name, quantiles in (("wait", self.waits), ("run", self.runs), ("lag", self.lags)):
            figures |= {f"{name}_{q}_seconds": _rounded(getattr(quantiles, q)) for q in ("p50", "p95", "p99", "max")}
        decisions = reaction.decisions if reaction else Quantiles()
        figures |= {
            "reaction_start_p50_seconds": _rounded(self.first_starts.p50),
            "reaction_start_p95_seconds": _rounded(self.first_starts.p95),
            "reaction_decision_p50_seconds": _rounded(decisions.p50),
            "reaction_decision_p95_seconds": _rounded(decisions.p95),
            "reaction_first_ready_seconds": _rounded(reaction.first_ready) if reaction else None,
            "max_desired_replicas": reaction.max_desired if reaction else None,
            "max_ready_replicas": reaction.max_ready if reaction else None,
            "throughput_per_second": _rounded(self.throughput),
            "batches_retried": self.retries,
            "figures_by": self.by.value,
            "wait_mean_seconds": _rounded(self.told.waits.mean) if self.told else None,
            "run_mean_seconds": _rounded(self.told.runs.mean) if self.told else None,
            "end": self.end.value,
            "seconds_total": _rounded(self.seconds),
        }
        if self.phases:
            figures["wait_by_phase"] = {
                name: {f"{q}_seconds": _rounded(getattr(waits, q)) for q in ("p50", "p95", "p99", "max")}
                for name, waits in self.phases.items()
            }
        return figures

    def table(self) -> Table:
        """For people."""
        table = Table(title="Load", title_justify="left", show_header=False, box=None, pad_edge=False)
        table.add_column(style="bold", no_wrap=True)
        table.add_column()
        for name, text in self._rows():
            table.add_row(name, text)
        return table

    def _rows(self) -> Iterator[tuple[str, str]]:
        ended = {
            End.DONE: "all jobs left the queue",
            End.STOPPED: "stopped by you",
            End.TIMED_OUT: "gave up waiting: jobs are still in the queue",
            End.BROKER_LOST: "the broker took no more jobs",
        }
        yield "ended", f"{ended[self.end]}, after {self.seconds:.1f} s"
        yield "jobs sent", f"{self.jobs_enqueued} of {self.jobs_planned}"
        if self.jobs_unconfirmed:
            yield "perhaps sent", f"{self.jobs_unconfirmed} more: the broker has not said whether it has them"
        if self.jobs_repeated:
            yield "perhaps twice", f"{self.jobs_repeated} were sent again, and this broker drops no duplicates"
        yield "figures by", _WAYS[self.by]
        yield from self._jobs()
        if self.reaction:
            yield "reaction: size", spread(self.reaction.decisions) + " from a burst to the larger size"
            yield "reaction: worker", _or_not(self.reaction.first_ready) + " to the first Ready worker"
            yield "workers", f"{self.reaction.max_ready} Ready at most, {self.reaction.max_desired} wanted at most"
        yield "own lag", spread(self.lags) + (f", {self.retries} batches sent again" if self.retries else "")

    def _jobs(self) -> Iterator[tuple[str, str]]:
        if self.jobs_done is None or self.told is not None:
            yield from self._jobs_together()
            return
        yield "jobs done", f"{self.jobs_done}" + _and(self.throughput, "{:.1f} per second")
        yield "lost", f"{self.jobs_lost}"
        yield "dead-lettered", f"{self.jobs_dead}"
        yield "done twice", f"{self.jobs_duplicated}"
        yield "interrupted", f"{self.jobs_interrupted}"
        if self.jobs_outstanding:
            yield "not done yet", f"{self.jobs_outstanding}"
        yield "job wait", spread(self.waits)
        for name, waits in self.phases.items():
            yield f"  {name}", spread(waits)
        yield "job took", spread(self.runs)
        yield "reaction: start", spread(self.first_starts) + " from a burst to its first job"

    def _jobs_together(self) -> Iterator[tuple[str, str]]:
        if self.told is None:
            yield "jobs done", f"{_NOT_MEASURED}: {self.why}"
        else:
            yield "jobs done", f"{self.jobs_done}" + _and(self.throughput, "{:.1f} per second")
        if self.jobs_dead:
            yield "dead-lettered", f"{self.jobs_dead}"
        if self.told is not None:
            yield "job wait", f"{within(self.told.waits)}; from when it was put: own lag comes before that"
            yield "job took", within(self.told.runs)


def within(spread: Spread) -> str:
    """A time of which histograms tell, in words."""
    if spread.mean is None:
        return _NOT_MEASURED
    found = [(name, spread.quantile(share)) for name, share in _QUANTILES.items()]
    parts = [f"{name} {_between(one)}" for name, one in found if one is not None]
    return ", ".join([*parts, f"mean {spread.mean:.3f} s"])


def _between(found: Between) -> str:
    return f"above {found.low:g} s" if math.isinf(found.high) else f"{found.low:g} to {found.high:g} s"


def _at_most(spread: Spread) -> Quantiles:
    found = {name: spread.quantile(share) for name, share in _QUANTILES.items()}
    return Quantiles(**{name: one.high for name, one in found.items() if one and not math.isinf(one.high)})


def spread(quantiles: Quantiles) -> str:
    """A measured time in words."""
    if quantiles.p50 is None:
        return _NOT_MEASURED
    parts = (("p50", quantiles.p50), ("p95", quantiles.p95), ("p99", quantiles.p99), ("max", quantiles.max))
    return ", ".join(f"{name} {value:.3f} s" for name, value in parts)


_NOT_MEASURED: Final = "not measured"
_QUANTILES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
_NOBODY_WROTE: Final = "no worker wrote records (job type sleep does)"
_WAYS: Final[Mapping[Way, str]] = {
    Way.STREAM: "records of each job; times by the clock of Redis, known within half a round trip",
    Way.QUEUE: "records of each job; times by workers' clocks, too late by what the quickest record took to come",
    Way.WORKERS: "metrics of the workers, of all jobs of the queue: between two bounds of histograms, as of 2 s ago",
    Way.DEPTH: "the depth of the queue and the dead letters; single jobs are not seen",
}


def _or_not(seconds: float | None) -> str:
    return _NOT_MEASURED if seconds is None else f"{seconds:.2f} s"


def _and(value: float | None, form: str) -> str:
    return "" if value is None else f" ({form.format(value)})"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
