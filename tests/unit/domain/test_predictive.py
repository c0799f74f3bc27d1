"""A forecast is only ever a floor: it adds workers, or says why not, and takes none."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.domain.test_decide import RULES, sample
from workerpool_operator.api import Limiter, PredictiveMode, Targets
from workerpool_operator.domain.scaling import (
    Allowance,
    Decision,
    Fleet,
    Forecast,
    Foreseen,
    History,
    Inputs,
    Sample,
    Silence,
    Term,
    Traffic,
    decide,
)

FORECASTS = st.one_of(
    st.none(),
    st.builds(Forecast, rate=st.none() | st.floats(0, 2e9), error=st.none() | st.floats(0, 5), why=st.just("why")),
)


def ask(
    forecast: Forecast | None,
    *samples: Sample,
    mode: PredictiveMode = PredictiveMode.ENABLED,
    current: int = 0,
    seconds: float | None = 0.5,
    fleet: Fleet | None = None,
    allowance: Allowance | None = None,
    **rules: object,
) -> Decision:
    return decide(
        Inputs(
            rules=replace(RULES, predictive=mode, **rules),  # type: ignore[arg-type]
            queues=("main",),
            samples=samples or (sample(0),),
            current=current,
            history=History(since=0.0, active_at=0.0),
            now=1000.0,
            traffic=Traffic(arrivals=0.0, service_seconds=seconds),
            fleet=fleet or Fleet(),
            allowance=allowance,
            forecast=forecast,
        )
    )


def test_workers_are_there_before_the_jobs() -> None:
    """20 jobs/s of 0.5 s are expected, one at a time: 10 workers, though none waits."""
    decision = ask(Forecast(rate=20.0, error=0.1))
    assert decision.desired == 10
    assert Term("predictive", 10) in decision.terms
    assert decision.foreseen == Foreseen(replicas=10, rate=20.0, error=0.1)


def test_a_forecast_that_is_observed_changes_nothing() -> None:
    """It is shown beside what is decided without it."""
    decision = ask(Forecast(rate=20.0, error=0.1), mode=PredictiveMode.OBSERVE)
    assert (decision.desired, decision.foreseen) == (0, Foreseen(replicas=10, rate=20.0, error=0.1))
    assert "predictive" not in [term.name for term in decision.terms]


def test_a_pool_that_wants_no_forecast_hears_of_none() -> None:
    """What the collector told before it was switched off is not shown any more."""
    decision = ask(Forecast(rate=20.0), mode=PredictiveMode.DISABLED)
    assert (decision.desired, decision.foreseen) == (0, None)


def test_a_forecast_aims_at_the_utilization_that_the_pool_aims_at() -> None:
    """10 slots at work, of which a share of 0.8 is to be busy: 13."""
    assert ask(Forecast(rate=20.0), targets=Targets(utilization="0.8")).desired == 13


@pytest.mark.parametrize(("rate", "workers"), [(0.0, 0), (0.19, 0), (0.2, 1), (2.0, 1), (2.01, 2)])
def test_a_worker_that_would_be_idle_is_not_asked_for(rate: float, workers: int) -> None:
    """One is from a tenth of its time on; a night with an odd job lets the pool sleep."""
    assert ask(Forecast(rate=rate)).desired == workers


@pytest.mark.parametrize(
    ("forecast", "seconds", "why"),
    [
        (None, 0.5, "the collector has not told a forecast yet"),
        (Forecast(why="jobs are counted for 5 h"), 0.5, "jobs are counted for 5 h"),
        (Forecast(), 0.5, "the collector has not told a forecast yet"),
        (Forecast(rate=20.0), None, "no job has ended yet that says how long jobs take"),
    ],
)
def test_no_forecast_is_no_floor_and_says_why(forecast: Forecast | None, seconds: float | None, why: str) -> None:
    """And it keeps no worker that the others do not want."""
    decision = ask(forecast, seconds=seconds, current=3)
    assert decision.desired == 0
    assert Silence("predictive", why, holds=False) in decision.silent
    assert decision.foreseen is not None
    assert (decision.foreseen.replicas, decision.foreseen.why) == (None, why)


def test_a_forecast_is_bound_by_every_limit() -> None:
    """Bounds, caps, rates, budgets, freezes and open circuits act on it as on any other wish."""
    forecast = Forecast(rate=200.0)
    assert (capped := ask(forecast)).desired == 50
    assert capped.limited_by == (Limiter.MAX_REPLICAS,)
    assert ask(forecast, downstream_concurrency=7).desired == 7
    assert ask(forecast, rate_limit=10.0).desired == 5
    assert ask(forecast, allowance=Allowance(granted=4)).desired == 4
    assert ask(forecast, current=2, fleet=Fleet(heard=2, tripped=2)).desired == 2


def test_a_forecast_says_nothing_while_no_queue_can_be_read() -> None:
    """It follows from the same broker that does not answer: the size is held."""
    decision = ask(Forecast(rate=200.0), sample(None, None), current=3)
    assert (decision.desired, decision.foreseen) == (3, Foreseen(why="no queue can be read"))


@given(
    forecast=FORECASTS,
    waiting=st.none() | st.integers(0, 5000),
    current=st.integers(0, 60),
    seconds=st.none() | st.floats(0.001, 100),
)
def test_a_forecast_never_takes_a_worker_and_observing_one_changes_nothing(
    forecast: Forecast | None, waiting: int | None, current: int, seconds: float | None
) -> None:
    """Whatever it says: never fewer than without it, never beyond the bounds."""
    found = {
        mode: ask(
            forecast, sample(waiting, None if waiting is None else 0), mode=mode, current=current, seconds=seconds
        )
        for mode in PredictiveMode
    }
    without, acting = found[PredictiveMode.DISABLED], found[PredictiveMode.ENABLED]
    assert without.desired <= acting.desired <= 50
    assert found[PredictiveMode.OBSERVE] == replace(without, foreseen=acting.foreseen)
