"""How much failures cluster: more than if each job failed by itself.

Likelihoods take each failure for a witness of its own. Where failures come in runs, or one pod fails more than its
peers of the same version, five of them say no more than one. `phi` is Pearson's chi-square over its degrees of freedom,
of the pods within each version (McCullagh and Nelder 1989, Generalized linear models, section 4.5); all evidence is
tempered by it. One cell is one pod for as long as it is watched without a break.

Cells are of any size, and chi-square trusts the small ones too much: where one failure is expected of 10,000 jobs, one
in a pod that went after ten of them adds 1,000, as if a thousand failures had come at once. Fletcher's correction for
such sparse cells (2012, Biometrika 99(1), equation 7) divides by 1 + the mean over the cells of V'(r) (y - r) / V(r),
y being a cell's own rate, r the version's and V the variance; cells of one size leave it at 1. Below 1 it is where many
cells had hardly a job and no failure: they know nothing, and are taken off the degrees of freedom. It is made for each
version, so that what one of them does not know hides nothing of the other.

From a few pods phi is known badly, and a canary that happened to get the worst of them would be rejected too often. So
once failures are seen to cluster (chi-square above its 95 % quantile), the upper 99 % confidence limit of phi is used.
The canary's own pods count as well: a run of failures may hit the canary before it ever hit the stable version.
"""

from collections.abc import Iterable
from math import sqrt
from typing import Final, NamedTuple

_CLUSTERED_Z: Final = 1.645
_LIMIT_Z: Final = -2.326
_SMALLEST_QUANTILE: Final = 0.004
"""Where the approximation of the quantile breaks down, at one degree of freedom."""


class Spread(NamedTuple):
    """Sums over the cells of one version: all that chi-square needs of those that are closed."""

    cells: int = 0
    trials: float = 0.0
    failures: int = 0
    squares: float = 0.0
    """Of each cell its failures squared over its trials, summed."""
    rates: float = 0.0
    """Of each cell its failures over its trials, summed."""

    def plus(self, other: "Spread") -> "Spread":
        """The cells of both."""
        return Spread(
            self.cells + other.cells,
            self.trials + other.trials,
            self.failures + other.failures,
            self.squares + other.squares,
            self.rates + other.rates,
        )


def cell(trials: float, failures: int) -> Spread:
    """One cell; none without a trial."""
    if trials <= 0:
        return Spread()
    rate = failures / trials
    return Spread(cells=1, trials=trials, failures=failures, squares=failures * rate, rates=rate)


def dispersion(versions: Iterable[Spread], *, counted: bool) -> float:
    """Phi, 1 at least. `counted`: trials are counted and fail once (jobs); else they are time (pod-minutes).

    A version without a failure, or without a success, does not show how failures fall.
    """
    chi_square = freedom = 0.0
    for one in versions:
        rate = one.failures / one.trials if one.trials > 0 else 0.0
        variance = rate * (1 - rate) if counted else rate
        if one.cells > 1 and variance > 0:
            slope = 1 - 2 * rate if counted else 1.0
            sparse = 1 + slope * (one.rates / one.cells - rate) / variance
            chi_square += (one.squares - one.failures * rate) / variance / max(sparse, 1.0)
            freedom += max((one.cells - 1) * min(sparse, 1.0), 1.0)
    if not freedom:
        return 1.0
    clustered = chi_square > _quantile(freedom, z=_CLUSTERED_Z)
    return max(1.0, chi_square / (_quantile(freedom, z=_LIMIT_Z) if clustered else freedom))


def _quantile(freedom: float, *, z: float) -> float:
    """Of chi-square, by Wilson and Hilferty (1931): its cube root is nearly normal."""
    part = 2 / (9 * freedom)
    return max(freedom * (1 - part + z * sqrt(part)) ** 3, _SMALLEST_QUANTILE)
