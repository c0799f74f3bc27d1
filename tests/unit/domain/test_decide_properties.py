"""What holds of every size, over all targets, floors and limits at once: and that these cases are not empty ones.

Each property is asked of `EXAMPLES`, and then of drawn cases. The last test shows for each thing that a property is
about, each limiter among them, that it happens in one of the examples: a property over cases in which nothing happens
would hold as well.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from workerpool_operator.api import Limiter, PredictiveMode, Targets
from workerpool_operator.domain.scaling import (
    Allowance,
    Fleet,
    Forecast,
    History,
    Inputs,
    Overrides,
    Pace,
    Rules,
    Sample,
    Schedule,
    Traffic,
    decide,
)

MONDAY = datetime(2026, 1, 5, 12, tzinfo=UTC)
NOW = 10_000.0
MOST = 60
STEPS = 40


def mostly(usual: Any, others: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """With all settings drawn at once the tightest would always hide the rest."""
    return st.one_of(st.just(usual), st.just(usual), st.just(usual), others)


_SHARES = st.none() | st.sampled_from(["0.3", "0.75", 1])
_PACES = st.builds(
    Pace,
    stabilization_seconds=st.sampled_from([0.0, 20.0, 60.0]),
    pods=st.none() | st.integers(1, 30),
    percent=st.none() | st.integers(1, 100),
)
_TARGETS = st.builds(
    Targets,
    queue_depth=mostly(None, st.integers(1, 500)),
    queue_depth_per_replica=mostly(None, st.integers(1, 50)),
    job_latency_seconds=mostly(None, st.integers(1, 600)),
    utilization=mostly(None, _SHARES),
    cpu_utilization=mostly(None, _SHARES),
)
_SCHEDULES = st.lists(
    st.builds(
        Schedule,
        cron=st.sampled_from(["0 12 * * *", "0 3 * * *", "0 0 31 2 *"]),
        time_zone=st.sampled_from(["UTC", "Europe/Berlin", "Mars/Base"]),
        seconds=st.just(7200),
        min_replicas=st.integers(1, 8),
    ),
    max_size=2,
).map(tuple)
_OVERRIDES = st.builds(Overrides, frozen_in=st.booleans(), frozen_out=st.booleans(), at_least=st.sampled_from([0, 45]))
_RULES = st.builds(
    Rules,
    manual_replicas=st.none(),
    min_replicas=st.integers(0, 3),
    max_replicas=st.integers(3, MOST),
    cooldown_seconds=st.sampled_from([0.0, 60.0]),
    slots=st.integers(1, 4),
    targets=_TARGETS,
    up=mostly(Pace(), _PACES),
    down=mostly(Pace(), _PACES),
    downstream_concurrency=mostly(0, st.sampled_from([4, 40])),
    rate_limit=mostly(None, st.floats(0.1, 100.0)),
    warm_replicas=mostly(0, st.just(2)),
    schedules=mostly((), _SCHEDULES),
    fallback_after=st.sampled_from([30.0, 1e9]),
    fallback_replicas=st.sampled_from([0, 7]),
    overrides=mostly(Overrides(), _OVERRIDES),
    cpu_request=st.none() | st.just(0.5),
    predictive=st.sampled_from(PredictiveMode),
)
_FORECASTS = st.none() | st.builds(
    Forecast, rate=st.none() | st.floats(0, 100.0), error=st.none() | st.floats(0, 1), why=st.just("no season")
)
_FLEETS = st.builds(
    Fleet,
    heard=st.integers(0, 40),
    busy=st.integers(0, 80),
    slots=st.none() | st.integers(1, 4),
    cpu_heard=st.integers(0, 40),
    cpu_cores=st.floats(0, 20),
    tripped=mostly(0, st.just(5)),
)


def _samples(queue: str) -> st.SearchStrategy[Sample | None]:
    """Empty, deep or anything, sometimes not read."""
    read = st.builds(
        Sample,
        queue=st.just(queue),
        waiting=st.sampled_from([0, 0, 0, 1, 400, None]) | st.integers(0, 3000),
        in_flight=st.sampled_from([0, 0, 3]) | st.integers(0, 80),
        age=st.sampled_from([0.1, 0.1, 0.1, 9.0]),
        poll_seconds=st.just(1.0),
        arrivals=st.none() | st.integers(0, 10),
        partitions=st.none() | st.integers(1, 50),
    )
    return st.one_of(read, read, read, st.none())


_HISTORIES = st.builds(
    lambda since, active, blind: History(since=NOW - since, active_at=NOW - active, blind_since=blind),
    st.sampled_from([0.0, 1e4]),
    st.sampled_from([0.0, 30.0, 1e4]),
    st.sampled_from([None, NOW - 100.0]),
)


@st.composite
def cases(draw: Any) -> Inputs:
    """Any pool of one or two queues, at any moment."""
    queues = draw(st.sampled_from([("main",), ("main", "other")]))
    found = [draw(_samples(queue)) for queue in queues]
    return Inputs(
        rules=draw(_RULES),
        queues=queues,
        samples=[sample for sample in found if sample is not None],
        current=draw(st.integers(0, MOST)),
        history=draw(_HISTORIES),
        now=NOW,
        wall=MONDAY,
        pod_start_seconds=draw(st.sampled_from([0.0, 30.0])),
        traffic=Traffic(
            arrivals=draw(st.none() | st.floats(0, 50.0)), service_seconds=draw(st.none() | st.floats(0.01, 20.0))
        ),
        fleet=draw(_FLEETS),
        allowance=draw(mostly(None, st.builds(Allowance, granted=st.none() | st.integers(0, MOST)))),
        forecast=draw(_FORECASTS),
    )


def example_of(sample: dict[str, Any] | None = None, /, **more: Any) -> Inputs:
    """A pool at ten jobs a worker that is empty, but for what is said; `rules_...` are fields of its rules."""
    rules = {name.removeprefix("rules_"): more.pop(name) for name in [*more] if name.startswith("rules_")}
    read = {"waiting": 0, "in_flight": 0, "age": 0.1, "poll_seconds": 1.0, **(sample or {})}
    plain: dict[str, Any] = {
        "manual_replicas": None,
        "min_replicas": 0,
        "max_replicas": MOST,
        "cooldown_seconds": 0.0,
        "slots": 1,
        "targets": Targets(queue_depth_per_replica=10),
    }
    fields: dict[str, Any] = {
        "rules": Rules(**(plain | rules)),
        "queues": ("main",),
        "samples": [Sample(queue="main", **read)],
        "current": 0,
        "history": History(since=0.0, active_at=0.0),
        "now": NOW,
        "wall": MONDAY,
    }
    return Inputs(**(fields | more))


DEEP = {"waiting": 400}
SECOND = Traffic(arrivals=0.0, service_seconds=1.0)
EXAMPLES = [
    example_of(DEEP, current=2),
    example_of(current=5),
    example_of(DEEP, rules_max_replicas=3),
    example_of(current=5, rules_min_replicas=2),
    example_of(current=1, rules_cooldown_seconds=60.0, history=History(since=0.0, active_at=NOW - 1)),
    example_of(current=5, rules_down=Pace(stabilization_seconds=60.0), history=History(since=NOW, active_at=NOW)),
    example_of(current=5, queues=("main", "other")),
    example_of(current=5, samples=()),
    example_of(DEEP, current=2, rules_up=Pace(pods=1)),
    example_of(current=9, rules_down=Pace(pods=1)),
    example_of(DEEP, rules_downstream_concurrency=4),
    example_of(DEEP, rules_rate_limit=1.0, traffic=SECOND),
    example_of(DEEP | {"partitions": 3}),
    example_of(DEEP, allowance=Allowance(granted=2)),
    example_of({"waiting": 1}, current=5, rules_targets=Targets(utilization="0.75")),
    example_of(
        samples=(),
        rules_fallback_after=30.0,
        rules_fallback_replicas=7,
        history=History(since=0.0, active_at=0.0, blind_since=NOW - 100),
    ),
    example_of(current=5, rules_overrides=Overrides(frozen_in=True)),
    example_of(rules_overrides=Overrides(at_least=45)),
    example_of(DEEP, current=2, fleet=Fleet(heard=5, tripped=5)),
    example_of(rules_predictive=PredictiveMode.ENABLED, forecast=Forecast(rate=20.0), traffic=SECOND),
    example_of(rules_predictive=PredictiveMode.ENABLED, forecast=Forecast(why="no season")),
    example_of(
        DEEP, current=2, rules_up=Pace(percent=50), rules_predictive=PredictiveMode.ENABLED, forecast=Forecast(rate=9.0)
    ),
]


def of_cases(check: Any) -> Any:
    """Ask the property of every example, and of drawn cases."""
    for case in EXAMPLES:
        check = example(case=case)(check)
    # Properties that are about a few of the cases pass over the others; the last test sees to it that there are some.
    rare = [HealthCheck.too_slow, HealthCheck.filter_too_much]
    return settings(max_examples=40, suppress_health_check=rare, deadline=None)(given(case=cases())(check))


def known(case: Inputs) -> bool:
    return all(any(one.queue == queue and one.usable for one in case.samples) for queue in case.queues)


def uncapped(case: Inputs) -> Inputs:
    """Without what a person, a budget or a broker says that there may be at most."""
    samples = [replace(sample, partitions=None) for sample in case.samples]
    rules = replace(case.rules, downstream_concurrency=0, rate_limit=None, max_replicas=MOST)
    return replace(case, rules=rules, samples=samples, allowance=None)


@of_cases
def test_a_size_is_within_its_bounds(case: Inputs) -> None:
    """At least `minReplicas`, at most `maxReplicas`; a budget that grants less is the one thing below."""
    decision = decide(case)
    assert 0 <= decision.desired <= case.rules.max_replicas
    assert case.rules.min_replicas <= decision.wanted <= case.rules.max_replicas
    if case.allowance is None:
        assert decision.desired == decision.wanted
    elif case.allowance.granted is not None and not case.rules.overrides.frozen_in:
        assert decision.desired <= case.allowance.granted


@of_cases
def test_the_same_inputs_give_the_same_answer(case: Inputs) -> None:
    """Equal in everything, whoever asks and however often: with inputs that are equal, and not the very same."""
    assert (
        decide(case) == decide(case) == decide(replace(case, history=replace(case.history), rules=replace(case.rules)))
    )


@of_cases
def test_more_jobs_never_make_a_smaller_pool(case: Inputs) -> None:
    """Waiting, or running, a few or many, in either queue: with everything else as it is."""
    before = decide(case).desired
    for place, one in enumerate(case.samples):
        if one.waiting is None or one.in_flight is None:
            continue
        for more in (1, 7, 3000):
            for grown in (replace(one, in_flight=one.in_flight + more), replace(one, waiting=one.waiting + more)):
                samples = [*case.samples[:place], grown, *case.samples[place + 1 :]]
                assert before <= decide(replace(case, samples=samples)).desired


@of_cases
def test_on_constant_input_the_size_moves_one_way_and_comes_to_rest(case: Inputs) -> None:
    """Brought to each answer before the next question, every few seconds for some minutes: it never turns back."""
    rules = replace(case.rules, schedules=())
    case = replace(case, rules=replace(rules, min_replicas=min(rules.min_replicas, case.current)), allowance=None)
    assume(case.current <= case.rules.max_replicas)
    sizes = played(case)
    assert sizes in (sorted(sizes), sorted(sizes, reverse=True))


def played(case: Inputs) -> list[int]:
    sizes = [case.current]
    for step in range(STEPS):
        decision = decide(replace(case, now=NOW + 7.0 * step))
        case = replace(case, current=decision.desired, history=decision.history)
        sizes.append(decision.desired)
    return sizes


@of_cases
def test_nothing_is_taken_away_on_what_is_not_known(case: Inputs) -> None:
    """A queue that is not read, or was too long ago: whatever the others, a forecast or a schedule say."""
    case = uncapped(case)
    assume(not known(case))
    assert decide(case).desired >= case.current


@of_cases
def test_nothing_is_taken_away_while_a_target_cannot_say_what_it_asks_for(case: Inputs) -> None:
    """But for a pool that is known to have no job at all, and for silence that is none of a target's."""
    case = uncapped(case)
    decision = decide(case)
    assume(any(one.holds for one in decision.silent))
    assert decision.desired >= case.current


@of_cases
def test_an_open_circuit_never_causes_growth(case: Inputs) -> None:
    """Beyond the one worker that finds out when it is back; a person's word and the bounds go before."""
    rules = replace(case.rules, overrides=Overrides(), min_replicas=0)
    case = replace(case, rules=rules, fleet=replace(case.fleet, heard=5, tripped=5))
    assert decide(case).desired <= max(case.current, 1)


@of_cases
def test_a_forecast_is_only_ever_a_floor(case: Inputs) -> None:
    """With it there are never fewer workers than without it, and observing one changes no size."""
    sizes = {mode: decide(replace(case, rules=replace(case.rules, predictive=mode))).desired for mode in PredictiveMode}
    assert sizes[PredictiveMode.DISABLED] == sizes[PredictiveMode.OBSERVE] <= sizes[PredictiveMode.ENABLED]


@of_cases
def test_a_pool_that_is_stopped_wants_no_worker(case: Inputs) -> None:
    """Whatever is known, asked for or promised; and it tells its budget so."""
    stopped = decide(replace(case, rules=replace(case.rules, suspended=True)))
    assert (stopped.desired, stopped.wanted, stopped.limited_by) == (0, 0, (Limiter.SUSPENDED,))


# That the cases are not empty ones


def _limited(limiter: Limiter) -> Callable[[Inputs], bool]:
    return lambda case: limiter in decide(case).limited_by


def _forecast_wins(case: Inputs) -> bool:
    without = replace(case, rules=replace(case.rules, predictive=PredictiveMode.DISABLED))
    return known(case) and decide(case).desired > decide(without).desired


ELSEWHERE = {Limiter.HPA, Limiter.BUSY, Limiter.SUSPENDED, Limiter.WAKING}
"""Those that `decide` never names, and the one that overrules all else: it has a property of its own."""
REACHED: dict[str, Callable[[Inputs], bool]] = {
    "a pool that grows": lambda case: known(case) and decide(case).desired > case.current > 0,
    "a pool that shrinks": lambda case: known(case) and decide(case).desired < case.current,
    "a pool that goes to zero": lambda case: known(case) and case.current > 0 == decide(case).desired,
    "a pool that would shrink, were it known": lambda case: (
        not known(case) and bool(case.samples) and _limited(Limiter.STALE)(uncapped(case))
    ),
    "a pool of which nothing is known": lambda case: case.current > 3 and not any(one.usable for one in case.samples),
    "a target that is silent and holds": lambda case: (
        any(one.holds for one in decide(uncapped(case)).silent) and _limited(Limiter.UNKNOWN)(uncapped(case))
    ),
    "a forecast that adds workers": _forecast_wins,
    "a forecast that says nothing": lambda case: any(one.name == "predictive" for one in decide(case).silent),
    "an open circuit that keeps from growing": _limited(Limiter.DOWNSTREAM),
    "a size that keeps growing on constant input": lambda case: known(case) and len(set(played(case))) > 3,
    **{f"the limiter {limiter}": _limited(limiter) for limiter in Limiter if limiter not in ELSEWHERE},
}


@pytest.mark.parametrize("what", REACHED)
def test_what_a_property_is_about_is_among_its_cases(what: str) -> None:
    """By an example that every property is asked of before any case is drawn."""
    assert any(REACHED[what](case) for case in EXAMPLES)
