"""What became of the new versions that were played: a table, figures for a file, a row of a plot."""

import itertools
import math
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from rich.table import Table

from workerpool_operator.api import Strategy, WorkerPool
from workerpool_operator.cli import plots
from workerpool_operator.cli.simulate.canary import End, Ended, Wish, rollouts
from workerpool_operator.cli.simulate.model import Run
from workerpool_operator.domain.rollout.foresight import foreseen_ratio
from workerpool_operator.domain.rollout.judge import Cause
from workerpool_operator.domain.versions import policy_of, rules_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_Key = TypeVar("_Key", str, int)


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """A pool's rollouts of one new version, in a few numbers. Shares are of all of them."""

    name: str
    """Of the pool's run."""
    ratio: float
    failure_rate: float
    """Of the stable version."""
    at: float
    seed: int
    rollouts: int
    promoted: float
    rejected: float
    undecided: float
    """When the load ended, or because people decide."""
    why: dict[str, dict[str, float]]
    """How it ended -> what it followed from, or waited for -> share."""
    median_seconds: float | None
    """To the verdict; None: less than half of them came to one."""
    p95_seconds: float | None
    jobs: float
    """First attempts of the new version by then, on average."""
    failed: float
    """Of those, on average."""
    failed_by_stable: float
    """What the stable version would have failed of them."""
    steps: dict[int, float]
    """In which step, from 1, it ended."""
    foreseen_ratio: float | None
    """What the steps will find at this load, as `status.rollout` says beforehand."""
    verdicts: tuple[tuple[float, End], ...]
    """(seconds from the begin of the load, which), ascending."""

    @classmethod
    def of(cls, run: Run, pool: WorkerPool, wish: Wish) -> "Canary":
        """Play it."""
        ends = rollouts(run, pool, wish)
        verdicts = sorted((one.seconds, one.end) for one in ends if one.end is not End.UNDECIDED)
        jobs = statistics.fmean(one.jobs for one in ends)
        left = [point.arrivals for point in run.points if point.at >= wish.at]
        return cls(
            name=run.name,
            ratio=wish.ratio,
            failure_rate=wish.failure_rate,
            at=wish.at,
            seed=wish.seed,
            rollouts=len(ends),
            promoted=_part(ends, End.PROMOTED),
            rejected=_part(ends, End.REJECTED),
            undecided=_part(ends, End.UNDECIDED),
            why={end.value: _shares((one.why for one in ends if one.end is end), ends) for end in End},
            median_seconds=_quantile([at for at, _ in verdicts], 0.5, of=len(ends)),
            p95_seconds=_quantile([at for at, _ in verdicts], 0.95, of=len(ends)),
            jobs=jobs,
            failed=statistics.fmean(one.failed for one in ends),
            failed_by_stable=jobs * wish.failure_rate,
            steps=_shares((one.step for one in ends), ends),
            foreseen_ratio=foreseen_ratio(
                policy_of(pool.spec.rollout), rules_of(pool.spec), arrivals=statistics.fmean(left)
            ),
            verdicts=tuple((wish.at + at, end) for at, end in verdicts),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """The new versions of one pool."""

    canaries: tuple[Canary, ...] = ()
    unsaid: str = ""
    """Why there are none, or why they say little."""


def tried(run: Run, pool: WorkerPool, wishes: Sequence[Wish]) -> Tried:
    """Play them all, one at least."""
    rollout, rules, at = pool.spec.rollout, rules_of(pool.spec), wishes[0].at
    if rollout.strategy is not Strategy.CANARY:
        return Tried(unsaid=f"{run.name}: rollout.strategy is {rollout.strategy}: no canary to play")
    canaries = tuple(Canary.of(run, pool, wish) for wish in wishes)
    least = rules.warmup_seconds + sum(step.duration_seconds for step in rollout.steps)
    left = run.points[-1].at - at
    if left >= least:
        return Tried(canaries=canaries)
    short = f"{left:,.0f} s of the load are left when the new version comes, and its steps take {least:,.0f} s at least"
    return Tried(canaries=canaries, unsaid=f"{run.name}: {short}: play a longer load (--seconds, --trace)")


def table(one: Tried) -> Table:
    """A row for each new version of a pool; in the last column the share that ended in each step."""
    made = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for column in ("", "PROMOTED", "REJECTED", "UNDECIDED", "MEDIAN", "P95", "FAILED", "STABLE'S", "STEPS"):
        made.add_column(column, justify="right", no_wrap=True)
    for each in one.canaries:
        made.add_row(
            f"x {each.ratio:g}",
            *(f"{share:.1%}" for share in (each.promoted, each.rejected, each.undecided)),
            _seconds(each.median_seconds),
            _seconds(each.p95_seconds),
            f"{each.failed:,.1f}",
            f"{each.failed_by_stable:,.1f}",
            " ".join(f"{each.steps.get(step, 0.0):.0%}" for step in range(1, max(each.steps) + 1)),
        )
    return made


def title(one: Tried) -> str:
    """What the table is of."""
    first = one.canaries[0]
    return f"{first.name}: {first.rollouts:,} rollouts of a new version"


def notes(one: Tried) -> Iterator[str]:
    """What the table has no place for: all but verdicts by the evidence."""
    for each in one.canaries:
        for end, why in each.why.items():
            told = ", ".join(f"{cause} {share:.1%}" for cause, share in why.items())
            if why and set(why) != {str(Cause.EVIDENCE)}:
                yield f"x {each.ratio:g} {end}: {told}"
    if one.canaries:
        ratio = one.canaries[0].foreseen_ratio
        yield f"its steps can find a ratio of {ratio:.1f}" if ratio else "its steps can find nothing at this load"
    if one.unsaid:
        yield one.unsaid


def as_json(found: Sequence[Canary]) -> list[dict[str, Any]]:
    """All figures but each single verdict."""
    return [{key: value for key, value in asdict(one).items() if key != "verdicts"} for one in found]


def draw(panel: "Axes", found: Sequence[Canary]) -> None:
    """Which part of the rollouts had been promoted, and which rejected, by when."""
    for one, (colour, marker) in zip(found, _looks(), strict=False):
        for end, style in ((End.PROMOTED, "-"), (End.REJECTED, ":")):
            if not (moments := [at for at, ended in one.verdicts if ended is end]):
                continue
            shares = [number / one.rollouts for number in range(len(moments) + 1)]
            label = f"{one.name}: x {one.ratio:g} {end}"
            panel.step([one.at, *moments], shares, color=colour, linestyle=style, marker=marker, markevery=0.2,
                       where="post", label=label)  # fmt: skip
    panel.set_ylabel("rollouts")
    panel.set_ylim(-0.02, 1.02)
    if panel.lines:
        panel.legend(fontsize="x-small")


def _looks() -> Iterator[tuple[str, str]]:
    return zip(itertools.cycle(plots.COLOURS), itertools.cycle(plots.MARKERS), strict=False)


def _part(ends: Sequence[Ended], end: End) -> float:
    return sum(one.end is end for one in ends) / len(ends)


def _shares(keys: Iterator[_Key], ends: Sequence[Ended]) -> dict[_Key, float]:
    return {key: count / len(ends) for key, count in Counter(keys).most_common()}


def _quantile(known: Sequence[float], share: float, *, of: int) -> float | None:
    """Of so many, those that are not known being later than all others. None: it is among these."""
    wanted = math.ceil(share * of)
    return known[wanted - 1] if wanted <= len(known) else None


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:,.0f} s"
