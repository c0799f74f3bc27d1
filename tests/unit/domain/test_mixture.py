"""The likelihood ratios of a canary, against numbers known from elsewhere."""

from math import exp, inf, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workerpool_operator.domain.rollout.evidence import Evidence, Nulls, Signal, SignalEvidence, dump, load
from workerpool_operator.domain.rollout.mixture import (
    FAIL_FACTORS,
    PASS_FACTORS,
    Interval,
    detectable_ratio,
    log_clean,
    log_mean,
    step,
)
from workerpool_operator.domain.rollout.spread import Spread, cell, dispersion

NULLS = Nulls(tolerate=1.0, reject=3.0)
NONE = (0.0,) * len(FAIL_FACTORS)


@pytest.mark.parametrize(("failures", "known"), [(1, 3.8), (2, 20.4)])
def test_failures_of_the_canary_alone_count_the_more_the_fewer_of_the_jobs_are_its_own(
    failures: int, known: float
) -> None:
    logs = step(NONE, Interval(5, failures, 95, 0), null=1.0, factors=FAIL_FACTORS)
    assert exp(log_mean(logs, phi=1.0)) == pytest.approx(known, abs=0.05)


def test_a_step_is_the_likelihood_ratio_of_the_binomial() -> None:
    interval, null, factor = Interval(30, 4, 170, 9), 1.25, FAIL_FACTORS[3]

    def likelihood(theta: float) -> float:
        p = theta * 30 / (theta * 30 + 170)
        return 4 * log(p) + 9 * log(1 - p)

    found = step(NONE, interval, null=null, factors=FAIL_FACTORS)[3]
    assert found == pytest.approx(likelihood(null * factor) - likelihood(null))


@given(st.floats(0.01, 1e6), st.floats(0.01, 1e6), st.sampled_from([*FAIL_FACTORS, *PASS_FACTORS]))
def test_under_the_null_a_likelihood_ratio_is_1_on_average(canary: float, stable: float, factor: float) -> None:
    """The martingale itself: over where the next failure falls, whatever the shares."""
    factors, place = (
        (FAIL_FACTORS, FAIL_FACTORS.index(factor))
        if factor in FAIL_FACTORS
        else (PASS_FACTORS, PASS_FACTORS.index(factor))
    )
    null = 1.25
    p = null * canary / (null * canary + stable)
    none = (0.0,) * len(factors)
    hit = step(none, Interval(canary, 1, stable, 0), null=null, factors=factors)[place]
    missed = step(none, Interval(canary, 0, stable, 1), null=null, factors=factors)[place]
    assert p * exp(hit) + (1 - p) * exp(missed) == pytest.approx(1.0)


def test_the_mean_of_likelihoods_that_overflow_has_a_logarithm() -> None:
    assert log_mean((5000.0, 0.0), phi=1.0) == pytest.approx(5000.0 - log(2))
    assert log_mean((5000.0, 5000.0), phi=50.0) == pytest.approx(100.0)


@pytest.mark.parametrize(("trials", "enough"), [(329, False), (332, True)])
def test_some_330_clean_jobs_show_a_rate_below_1_percent(trials: int, enough: bool) -> None:  # noqa: FBT001
    assert (log_clean(trials=trials, failures=0, rate=0.01, phi=1.0) >= log(20)) is enough


def test_failures_take_from_what_clean_jobs_have_shown() -> None:
    assert log_clean(trials=1000, failures=3, rate=0.01, phi=1.0) < log_clean(
        trials=1000, failures=2, rate=0.01, phi=1.0
    )
    assert log_clean(trials=0, failures=2, rate=0.01, phi=1.0) == pytest.approx(2 * log(0.1))


@pytest.mark.parametrize(("expected", "ratio"), [(1, 4.32), (3, 2.72), (6, 2.15), (15, 1.70), (30, 1.48)])
def test_the_ratio_that_would_have_been_found_falls_with_the_failures_to_be_expected(
    expected: float, ratio: float
) -> None:
    assert detectable_ratio(expected, alpha=0.05) == pytest.approx(ratio, abs=0.01)


def test_without_failures_to_be_expected_no_ratio_would_have_been_found() -> None:
    assert detectable_ratio(0.0, alpha=0.05) is None


def test_what_happens_on_one_side_waits_for_the_other() -> None:
    alone = SignalEvidence().plus(Interval(10, 2, 0, 0), nulls=NULLS)
    assert alone.fail == NONE
    both = alone.plus(Interval(0, 0, 90, 1), nulls=NULLS)
    assert both.fail == step(NONE, Interval(10, 2, 90, 1), null=1.0, factors=FAIL_FACTORS)
    assert both.total == Interval(10, 2, 90, 1)
    assert both.pending == Interval()


def test_an_interval_without_failures_shows_nothing_of_the_ratio() -> None:
    assert SignalEvidence().plus(Interval(10, 0, 90, 0), nulls=NULLS).fail == NONE


def test_evidence_is_the_same_after_it_was_stored() -> None:
    one = SignalEvidence().plus(Interval(10, 2, 90, 1), nulls=NULLS).plus(Interval(1.5, 1, 0, 0), nulls=NULLS)
    evidence = Evidence(nulls=NULLS, signals={Signal.CRASHES: one}, measured_seconds=7.5, unmeasured_seconds=1.0)
    assert load(dump(evidence), nulls=NULLS) == evidence


def test_what_is_stored_does_not_grow() -> None:
    one = SignalEvidence()
    for _ in range(1000):
        one = one.plus(Interval(10, 1, 90, 1), nulls=NULLS)
    assert len(str(dump(Evidence(nulls=NULLS, signals=dict.fromkeys(Signal, one))))) < 3300


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"scheme": 0},
        {"nulls": [1.1, 3.0]},
        {"signals": {"slow": {}}},
        {"signals": []},
        {"signals": {"slow": {"fail": [0.0], "passed": []}}},
        {"measuredSeconds": None},
    ],
)
def test_evidence_that_is_not_understood_begins_anew(broken: dict[str, object]) -> None:
    stored = dump(Evidence(nulls=NULLS, measured_seconds=5.0)) | broken if broken else {}
    assert load(stored, nulls=NULLS) == Evidence(nulls=NULLS)


def test_failures_by_themselves_do_not_cluster() -> None:
    even = cell(100, 3).plus(cell(100, 2)).plus(cell(100, 3)).plus(cell(100, 2))
    assert dispersion([even], counted=True) == 1.0


def test_failures_of_one_pod_cluster_and_are_believed_the_less() -> None:
    uneven = Spread()
    for failures in (40, 0, 0, 0, 0, 0):
        uneven = uneven.plus(cell(100, failures))
    # Pearson's phi is 42.9 here; from six pods it may well be ten times that.
    assert 200 < dispersion([uneven], counted=True) < 600


def test_a_little_more_than_chance_is_taken_as_it_is() -> None:
    uneven = cell(100, 3).plus(cell(100, 7)).plus(cell(100, 1))
    rate = 11 / 300
    pearson = sum((x - 100 * rate) ** 2 for x in (3, 7, 1)) / (100 * rate * (1 - rate)) / 2
    assert dispersion([uneven], counted=True) == pytest.approx(pearson)


@pytest.mark.parametrize("spread", [Spread(), cell(100, 5), cell(10, 0).plus(cell(10, 0)), cell(5, 5).plus(cell(5, 5))])
def test_what_does_not_show_how_failures_fall_tempers_nothing(spread: Spread) -> None:
    assert dispersion([spread], counted=True) == 1.0


def test_time_may_hold_more_failures_than_minutes() -> None:
    assert dispersion([cell(1, 5).plus(cell(1, 5))], counted=False) == 1.0
    assert dispersion([cell(1, 40).plus(cell(1, 0))], counted=False) < inf


def test_two_pods_of_which_one_fails_show_nothing_of_their_version() -> None:
    assert dispersion([cell(100, 9).plus(cell(100, 0))], counted=True) > 100


def cells(trials: int, *failures: int) -> Spread:
    """So many jobs in each."""
    spread = Spread()
    for number in failures:
        spread = spread.plus(cell(trials, number))
    return spread


def test_one_failure_of_a_pod_that_soon_went_is_one_failure() -> None:
    """Of some 1,000 jobs one fails; a pod that did ten had one of these."""
    steady = cells(1500, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2)
    assert dispersion([steady], counted=True) == 1.0
    assert dispersion([steady.plus(cell(10, 1))], counted=True) < 3


def test_pods_that_had_hardly_a_job_hide_no_clusters() -> None:
    clustered = cells(1500, 10, 0, 0, 10, 0, 0, 10, 0, 0, 10)
    known = dispersion([clustered], counted=True)
    with_others = dispersion([clustered.plus(cells(1, *[0] * 500))], counted=True)
    assert known / 4 < with_others < known


def test_what_one_version_does_not_know_hides_no_cluster_of_the_other() -> None:
    stable, canary = cells(1500, *[1] * 18).plus(cell(10, 1)), cells(1500, 30, 0)
    assert dispersion([stable, canary], counted=True) > 3


def test_no_trial_is_no_cell() -> None:
    assert cell(0, 1) == Spread()
