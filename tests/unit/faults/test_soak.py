"""The soak: what a straight line through its looks says, and when that is too much."""

import math

import pytest

from e2e.faults.soak.trend import Look, Report, Trend


def looks(*, memory_grows: float = 0.0, files_grow: float = 0.0, objects_grow: float = 0.0) -> list[Look]:
    """Two hours, a look each minute; each figure is 100 after the first quarter, and grows by so much an hour."""
    return [
        Look(
            seconds=60.0 * minute,
            memory_mb=100 + memory_grows * (minute - 15) / 60 + (0.5 if minute % 2 else -0.5),
            files=round(100 + files_grow * (minute - 15) / 60),
            objects=round(100 + objects_grow * (minute - 15) / 60),
        )
        for minute in range(121)
    ]


def report(found: list[Look], *failures: str) -> Report:
    return Report.of(found, warm_seconds=900, pools=10 * len(found), failures=failures)


def test_what_stays_as_it_is_holds_whatever_it_does_in_between() -> None:
    """A sawtooth is no growth."""
    told = report(looks())
    assert told.holds
    assert told.memory_mb.percent_per_hour == pytest.approx(0, abs=0.05)
    assert (told.hours, told.rounds, told.pools) == (2.0, 121, 1210)
    assert told.dump()["verdict"] == "holds"


@pytest.mark.parametrize("figure", ["memory", "files", "objects"])
def test_two_percent_an_hour_is_too_much(figure: str) -> None:
    """Of each figure alone."""
    growth = "grow" if figure != "memory" else "grows"
    told = report(looks(**{f"{figure}_{growth}": 2.0}))
    (said,) = told.grows
    assert said.startswith(figure)
    assert told.dump()["verdict"] == "broken"


def test_a_leak_of_less_than_one_percent_is_let_pass() -> None:
    """As is something that shrinks."""
    assert report(looks(memory_grows=0.8)).holds
    assert report(looks(memory_grows=-5.0)).holds


def test_what_the_warm_up_takes_does_not_count() -> None:
    """Caches fill in it."""
    cold = [Look(seconds=seconds, memory_mb=10.0, files=1, objects=1) for seconds in (1.0, 2.0)]
    assert report(cold + looks()[15:]).holds


def test_a_round_that_left_something_breaks_it_though_nothing_grows() -> None:
    """It is told in the file."""
    told = report(looks(), "round 3: 2 objects are left")
    assert not told.holds
    assert told.dump()["failures"] == ("round 3: 2 objects are left",)


def test_too_few_looks_tell_nothing() -> None:
    """Rather no verdict than one of chance."""
    with pytest.raises(ValueError, match="2 looks after the warm-up"):
        report(looks()[:17])
    with pytest.raises(ValueError, match="no trend"):
        Trend.of([(1.0, 1.0)] * 3)


def test_what_comes_from_nothing_grows_without_bound() -> None:
    """A share of zero is not zero."""
    assert Trend.of([(0.0, 0.0), (1.0, 0.0), (2.0, 0.0)]).percent_per_hour == 0.0
    assert math.isinf(Trend.of([(0.0, -1.0), (1.0, 0.0), (2.0, 1.0)]).percent_per_hour)
