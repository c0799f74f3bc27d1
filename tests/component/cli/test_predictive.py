"""What the predictive floor is worth on a working day, played whole: half a minute, so not among the unit tests."""

import pytest

from bench.predictive import LEAST_GAIN, MOST_COST, measure

pytestmark = [pytest.mark.component, pytest.mark.timeout(400)]


def test_jobs_of_a_working_day_wait_less_for_hardly_more_pods() -> None:
    """With no target set: a p95 wait at least 30 % lower for at most 10 % more pod-hours, and it waits without it."""
    [row] = measure(["none set"])
    assert row.p95_wait_before >= 3.0
    assert row.gain >= LEAST_GAIN
    assert row.cost <= MOST_COST
    assert row.changes < row.changes_before
