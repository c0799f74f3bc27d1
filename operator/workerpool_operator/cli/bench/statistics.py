"""Repeated measurements: added up, and compared with earlier ones. Pure; times in seconds."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from workerpool_operator.cli.quantiles import Quantiles

CHANCE: Final = 0.05
"""How probable a false alarm may be in one comparison, over all its modes."""
FEWEST: Final = 5
"""Repetitions of each side: with fewer no difference is beyond `CHANCE` for four modes, however large."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The repetitions of one mode."""

    reps: int
    median: float
    p95: float
    """By nearest rank: of fewer than 20 repetitions it is the largest."""
    least: float
    most: float

    @classmethod
    def of(cls, times: Sequence[float]) -> "Summary":
        """Of at least one."""
        return cls(
            reps=len(times),
            median=statistics.median(times),
            p95=Quantiles.of(times).p95 or 0.0,
            least=min(times),
            most=max(times),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One mode beside its base."""

    mode: str
    base: Summary
    now: Summary
    chance: float
    """How probable it is to see so much more, or more, when nothing has changed."""
    regressed: bool

    @property
    def ratio(self) -> float:
        """Of the medians; above 1 is slower."""
        return self.now.median / self.base.median


def chance_of(now: Sequence[float], base: Sequence[float]) -> float:
    """How probable it is, when nothing has changed, that so many pairs (one of each side) have the larger time now.

    The exact one-sided test of H. B. Mann and D. R. Whitney, "On a Test of Whether one of Two Random Variables is
    Stochastically Larger than the Other", Annals of Mathematical Statistics 18(1), 1947. It assumes no distribution,
    which times of jobs do not have: they have a floor and a tail. The number of orders with U pairs is the coefficient
    of q^U in the Gaussian binomial of n + m over m. Ties count for nothing, which is on the safe side.
    """
    pairs = sum(late > early for late in now for early in base)
    orders = _gaussian_binomial(len(now), len(base))
    return sum(orders[pairs:]) / math.comb(len(now) + len(base), len(base))


def compare(
    now: Mapping[str, Sequence[float]], base: Mapping[str, Sequence[float]], *, tolerance: float
) -> list[Change]:
    """The modes that both have.

    A mode has regressed when three things come together: the test of Mann and Whitney sees it, at `CHANCE` divided by
    the number of modes (Bonferroni); its median is slower by more than `tolerance`; and so is its fastest repetition,
    which what else the machine does can spoil least. A machine that was busy for a while can still look like it, so
    whoever raises an alarm measures once more before: see `confirmed`.
    """
    modes = [mode for mode in now if mode in base]
    return [_change(mode, now[mode], base[mode], tolerance=tolerance, chance=CHANCE / len(modes)) for mode in modes]


def confirmed(first: Sequence[Change], second: Sequence[Change]) -> list[Change]:
    """What holds after a second measurement: of modes that had regressed, what that one says."""
    again = {each.mode: each for each in second}
    return [again.get(each.mode, each) if each.regressed else each for each in first]


def _change(mode: str, now: Sequence[float], base: Sequence[float], *, tolerance: float, chance: float) -> Change:
    one, other, found = Summary.of(now), Summary.of(base), chance_of(now, base)
    slower = 1 + tolerance
    regressed = found < chance and one.median > slower * other.median and one.least > slower * other.least
    return Change(mode=mode, base=other, now=one, chance=found, regressed=regressed)


def _gaussian_binomial(n: int, m: int) -> list[int]:
    """Coefficients of the product over i = 1..m of (1 - q^(n+i)) / (1 - q^i), from q^0 to q^(nm)."""
    found = [1] + [0] * (n * m)
    for i in range(1, m + 1):
        for power in range(n * m, n + i - 1, -1):
            found[power] -= found[power - n - i]
        for power in range(i, n * m + 1):
            found[power] += found[power - i]
    return found
