"""Likelihood ratios that may be looked at as often as one likes.

Of the failures of an interval, those of the canary are counted against those of the stable version. Given how many
there were of both together, one falls on the canary with probability `theta n_c / (theta n_c + n_s)`: `n` are the
trials of the two sides, `theta` is the ratio of their failure rates. What hits both sides alike (an outage downstream,
a bad batch) raises the sum and not the ratio, so it cancels out.

A mixture likelihood ratio is the mean, over a grid of alternatives, of their likelihood over the null's. Under the null
it exceeds `1/alpha` at any time, ever, with probability `alpha` at most (Ville 1939; Robbins 1970, Statistical methods
related to the law of the iterated logarithm; Johari, Pekelis and Walsh 2017, Always valid inference), so it may be
looked at every few seconds. All values here are natural logarithms: likelihoods overflow.
"""

from collections.abc import Sequence
from math import exp, log
from typing import Final, NamedTuple

FAIL_FACTORS: Final = (1.25, 1.5, 2.0, 3.0, 4.0, 6.0, 9.0, 14.0)
"""Alternatives to `tolerateRatio`, as multiples of it: the canary fails more often."""
PASS_FACTORS: Final = (0.2, 0.3, 0.4, 0.5, 0.65, 0.8)
"""Alternatives to `rejectRatio`, as multiples of it: the canary fails less often."""
CLEAN_FACTOR: Final = 0.1
"""The alternative to an acceptable failure rate, as a multiple of it."""
LARGEST_RATIO: Final = 1000.0
"""Ratios beyond are not told apart."""
_LOG_FACTORS: Final = {
    FAIL_FACTORS: tuple(log(factor) for factor in FAIL_FACTORS),
    PASS_FACTORS: tuple(log(factor) for factor in PASS_FACTORS),
}
_HALVINGS: Final = 50


class Interval(NamedTuple):
    """What happened on both sides in the same stretch of time. Trials are jobs, or for crashes pod-minutes."""

    canary_trials: float = 0.0
    canary_failures: int = 0
    stable_trials: float = 0.0
    stable_failures: int = 0

    def plus(self, other: "Interval") -> "Interval":
        """Both together."""
        return Interval(
            self.canary_trials + other.canary_trials,
            self.canary_failures + other.canary_failures,
            self.stable_trials + other.stable_trials,
            self.stable_failures + other.stable_failures,
        )

    @property
    def comparable(self) -> bool:
        """Whether both sides had a chance to fail."""
        return self.canary_trials > 0 and self.stable_trials > 0


def step(logs: Sequence[float], interval: Interval, *, null: float, factors: tuple[float, ...]) -> tuple[float, ...]:
    """The log likelihood ratios after a comparable interval: one for each factor of `null`.

    Each grows by `x_c ln(p/p0) + x_s ln((1 - p)/(1 - p0))`, where p and p0 are the probabilities under alternative and
    null; put in terms of theta, that takes one logarithm.
    """
    both = interval.canary_failures + interval.stable_failures
    trials, stable = null * interval.canary_trials, interval.stable_trials
    return tuple(
        before + interval.canary_failures * log_factor - both * log((factor * trials + stable) / (trials + stable))
        for before, factor, log_factor in zip(logs, factors, _LOG_FACTORS[factors], strict=True)
    )


def log_mean(logs: Sequence[float], *, phi: float) -> float:
    """The log of the mean of the likelihood ratios, each to the power of `1/phi`."""
    largest = max(logs) / phi
    return largest + log(sum(exp(one / phi - largest) for one in logs) / len(logs))


def log_clean(*, trials: float, failures: int, rate: float, phi: float) -> float:
    """The log likelihood ratio of a failure rate of `CLEAN_FACTOR * rate` over one of `rate`, a rate below 1.

    About 330 trials without a failure show, at an error of 5 %, that the rate is below 1 %. Nothing is compared here,
    so this is what lets a pool pass in which nothing ever fails.
    """
    clean = max(trials - failures, 0.0)
    return (clean * log((1 - CLEAN_FACTOR * rate) / (1 - rate)) + failures * log(CLEAN_FACTOR)) / phi


def detectable_ratio(expected: float, *, alpha: float) -> float | None:
    """The smallest ratio that would have been found by now; None while there is none.

    `expected` are the failures that an equally good canary would have had.
    Smallest theta with `theta F (ln theta - 1 + 1/theta) >= ln(1/alpha)`: what theta earns in likelihood on average.
    """
    wanted = log(1 / alpha)

    def earned(theta: float) -> float:
        return expected * (theta * (log(theta) - 1) + 1)

    low, high = 1.0, LARGEST_RATIO
    if earned(high) < wanted:
        return None
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if earned(middle) >= wanted else (middle, high)
    return high
