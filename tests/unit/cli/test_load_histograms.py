"""What workers' metrics say of the jobs since a moment."""

import math

import pytest

from workerpool.telemetry import exposition
from workerpool.telemetry.metrics import Metrics
from workerpool_operator.cli.load.histograms import Between, Reading, Since, Spread, read


def a_reading(done: int, *, wait: float = 0.2) -> Reading:
    return Reading(done=done, waits=Spread({0.1: 0, 0.5: done}, done * wait), runs=Spread({1.0: done}, done * 0.5))


def test_a_worker_s_own_exposition_is_understood() -> None:
    """Lanes and classes of priority are added up, and buckets are not cumulative any more."""
    metrics = Metrics(pool="p", version="v", slots={"io": 4, "cpu": 1})
    for lane, wait in (("io", 0.05), ("io", 0.3), ("cpu", 2.0)):
        metrics.lanes[lane].waits["high"].observe(wait)
        metrics.lanes[lane].processing.observe(0.2)
        metrics.lanes[lane].processed += 1
    reading = read(exposition.render(metrics).decode())
    assert (reading.done, reading.waits.count, reading.runs.count) == (3, 3, 3)
    assert reading.waits.sum == pytest.approx(2.35)
    assert {bound: count for bound, count in reading.waits.counts.items() if count} == {0.1: 1, 0.5: 1, 5.0: 1}


def test_what_is_no_scrape_is_refused() -> None:
    with pytest.raises(ValueError, match=r".+"):
        read("<html>no</html>")


def test_a_quantile_lies_between_two_bounds() -> None:
    spread = Spread({0.1: 90.0, 0.5: 9.0, math.inf: 1.0}, 12.0)
    assert spread.quantile(0.5) == Between(0.0, 0.1)
    assert spread.quantile(0.9) == Between(0.0, 0.1)
    assert spread.quantile(0.95) == Between(0.1, 0.5)
    assert spread.quantile(1.0) == Between(0.5, math.inf)
    assert spread.mean == pytest.approx(0.12)


def test_of_nothing_nothing_is_known() -> None:
    assert Spread().quantile(0.5) is None
    assert Spread().mean is None


def test_what_was_done_before_does_not_count() -> None:
    since = Since()
    since.begin(["a"], {"a": a_reading(100)})
    since.put({"a": a_reading(130)})
    assert since.now().done == 30
    assert since.now().waits.counts[0.5] == 30
    assert since.now().runs.sum == pytest.approx(15)


def test_a_worker_that_came_later_counts_from_its_start_and_one_that_is_gone_stays_counted() -> None:
    since = Since()
    since.begin(["a"], {"a": a_reading(10)})
    since.put({"a": a_reading(15), "b": a_reading(7)})
    since.put({"b": a_reading(9)})
    assert since.now().done == 5 + 9


def test_a_worker_that_started_anew_counts_on() -> None:
    since = Since()
    since.begin(["a"], {"a": a_reading(100)})
    since.put({"a": a_reading(120)})
    since.put({"a": a_reading(3)})
    since.put({"a": a_reading(4)})
    assert since.now().done == 20 + 4


def test_a_worker_that_was_there_and_did_not_answer_counts_from_its_first_answer() -> None:
    """What it did before the load is not known to be less."""
    since = Since()
    since.begin(["a"], {})
    since.put({"a": a_reading(100)})
    since.put({"a": a_reading(101)})
    assert since.now().done == 1
