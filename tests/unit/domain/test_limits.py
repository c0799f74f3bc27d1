"""What keeps a size from being what the targets ask for, each link of the chain and all of them together."""

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from workerpool_operator.api import Limiter, Targets
from workerpool_operator.domain.scaling import (
    Decision,
    Fleet,
    History,
    Inputs,
    Pace,
    Rules,
    Sample,
    Schedule,
    Traffic,
    decide,
)

RULES = Rules(
    manual_replicas=None,
    min_replicas=0,
    max_replicas=100,
    cooldown_seconds=0,
    slots=4,
    targets=Targets(queue_depth_per_replica=1),
)


def inputs(
    waiting: int, *, current: int = 0, now: float = 1000.0, history: History | None = None, **more: Any
) -> Inputs:
    found = Sample(queue="main", waiting=waiting, in_flight=0, age=0.1, poll_seconds=1.0)
    given = {name: more.pop(name) for name in ("traffic", "fleet") if name in more}
    return Inputs(
        rules=replace(RULES, **more),
        queues=("main",),
        samples=(found,),
        current=current,
        history=history or History(since=0.0, active_at=now),
        now=now,
        **given,
    )


def ask(waiting: int, **more: Any) -> Decision:
    return decide(inputs(waiting, **more))


def follow(trace: list[tuple[float, int]], *, current: int, **rules: Any) -> list[int]:
    """Sizes of a pool that is brought to each answer before the next reading: (time, jobs waiting)."""
    history, sizes = History(since=0.0, active_at=0.0), []
    for now, waiting in trace:
        decision = ask(waiting, current=current, now=now, history=history, **rules)
        current, history = decision.desired, decision.history
        sizes.append(current)
    return sizes


# Stabilisation


def test_growth_follows_the_smallest_wish_of_its_window() -> None:
    up = Pace(stabilization_seconds=10)
    trace = [(100.0, 2), (105.0, 30), (109.0, 20), (111.0, 40), (118.5, 40), (121.5, 40)]
    assert follow(trace, current=2, up=up) == [2, 2, 2, 20, 20, 40]


def test_a_new_leader_adds_nothing_before_one_window_is_over() -> None:
    young = ask(9, current=2, history=History(since=995.0, active_at=995.0), up=Pace(stabilization_seconds=30))
    assert (young.desired, young.limited_by, young.look_again) == (2, (Limiter.STABILIZATION,), 25.0)


# Rates


def test_so_many_workers_are_added_within_a_minute() -> None:
    trace = [(100.0, 50), (101.0, 50), (159.0, 50), (160.0, 50), (161.5, 50), (220.0, 50)]
    assert follow(trace, current=4, up=Pace(pods=10)) == [14, 14, 14, 14, 24, 24]


def test_so_large_a_share_is_added_within_a_minute() -> None:
    assert follow([(100.0, 50), (130.0, 50), (161.0, 50)], current=4, up=Pace(percent=50)) == [6, 6, 6]
    assert follow([(100.0, 50), (101.0, 50), (162.0, 50)], current=4, up=Pace(percent=50)) == [6, 6, 9]


def test_of_both_rates_whichever_allows_more_counts() -> None:
    assert ask(90, current=4, up=Pace(pods=10, percent=50)).desired == 14
    assert ask(90, current=40, up=Pace(pods=10, percent=50)).desired == 60
    assert ask(0, current=40, down=Pace(pods=5, percent=10)).desired == 35
    assert ask(0, current=80, down=Pace(pods=5, percent=10)).desired == 72


def test_a_sleeping_pool_wakes_whatever_share_may_be_added() -> None:
    assert ask(90, current=0, up=Pace(percent=10)).desired == 1


def test_so_many_workers_are_taken_away_within_a_minute_and_it_is_known_when_more_may_go() -> None:
    decision = ask(3, current=20, down=Pace(pods=5))
    assert (decision.desired, decision.limited_by) == (15, (Limiter.SCALE_DOWN_RATE,))
    assert decision.look_again == 60.0
    assert follow([(100.0, 3), (101.0, 3), (161.5, 3)], current=20, down=Pace(pods=5)) == [15, 15, 10]


def test_a_rate_never_works_against_what_is_wanted() -> None:
    """The size was raised within the minute, by whomever: it is not lowered by the rate of growth."""
    history = ask(5, current=5).history
    raised = ask(50, current=30, now=1010.0, history=history, up=Pace(pods=10))
    assert (raised.desired, raised.limited_by) == (30, (Limiter.SCALE_UP_RATE,))
    lowered = ask(1, current=2, now=1010.0, history=history, down=Pace(pods=1))
    assert lowered.desired == 2


def test_the_history_of_sizes_stays_small() -> None:
    history = History(since=0.0, active_at=0.0)
    for tick in range(1000):
        history = ask(5, current=tick % 90, now=tick * 0.1, history=history).history
    assert len(history.sizes) <= 62


# Caps


def test_what_jobs_call_is_never_overrun() -> None:
    capped = ask(90, current=1, downstream_concurrency=22)
    assert (capped.desired, capped.limited_by) == (5, (Limiter.DOWNSTREAM_CONCURRENCY,))
    measured = ask(90, current=1, downstream_concurrency=22, fleet=Fleet(heard=1, slots=11))
    assert measured.desired == 2
    assert ask(90, current=1, downstream_concurrency=3).desired == 1


def test_those_that_were_let_in_stay_while_no_worker_says_how_many_slots_it_has() -> None:
    """A new collector hears nobody at first. That is no reason to be smaller, nor to be larger."""
    unheard = ask(90, current=11, downstream_concurrency=22)
    assert (unheard.desired, unheard.limited_by) == (11, (Limiter.DOWNSTREAM_CONCURRENCY,))
    assert ask(3, current=11, downstream_concurrency=22).desired == 3


def test_what_jobs_call_is_not_overrun_by_a_fallback_or_a_schedule_while_no_queue_is_known() -> None:
    """The caps bound what is added; who is there already stays."""
    fallback: dict[str, Any] = {"fallback_after": 30.0, "fallback_replicas": 50, "downstream_concurrency": 20}
    hours = Schedule(cron="* * * * *", time_zone="UTC", seconds=60, min_replicas=40)
    lost = History(since=0.0, active_at=0.0, blind_since=900.0)

    def blind(**more: Any) -> tuple[int, tuple[Limiter, ...]]:
        decision = decide(replace(inputs(0, history=lost, **more), samples=()))
        return decision.desired, decision.limited_by

    assert blind(current=2, **fallback) == (5, (Limiter.FALLBACK, Limiter.DOWNSTREAM_CONCURRENCY))
    assert blind(current=9, **fallback) == (9, (Limiter.FALLBACK, Limiter.DOWNSTREAM_CONCURRENCY))
    assert blind(current=2, schedules=(hours,), downstream_concurrency=20) == (5, (Limiter.DOWNSTREAM_CONCURRENCY,))
    down = Fleet(heard=2, tripped=2)
    assert blind(current=2, fleet=down, **fallback) == (2, (Limiter.FALLBACK, Limiter.DOWNSTREAM))
    slow = Traffic(arrivals=None, service_seconds=4.0)
    assert blind(current=2, traffic=slow, rate_limit=3.0, schedules=(hours,)) == (3, (Limiter.RATE_LIMIT,))


def test_a_rate_limit_keeps_only_so_many_workers_busy() -> None:
    known = Traffic(service_seconds=0.5)
    capped = ask(90, current=1, rate_limit=100.0, traffic=known)
    assert (capped.desired, capped.limited_by) == (13, (Limiter.RATE_LIMIT,))
    assert ask(90, rate_limit=0.001, traffic=known).desired == 1
    assert ask(90, rate_limit=100.0, traffic=Traffic()).desired == 90, "not known how many that are"


def test_no_more_workers_than_partitions_of_all_queues_together() -> None:
    def ask_two(*partitions: int | None, current: int = 1, age: float = 0.1) -> Decision:
        one = inputs(90, current=current)
        samples = [replace(one.samples[0], queue=f"q{number}", partitions=n) for number, n in enumerate(partitions)]
        samples[-1] = replace(samples[-1], age=age)
        return decide(replace(one, queues=[sample.queue for sample in samples], samples=samples))

    capped = ask_two(6, 4)
    assert (capped.desired, capped.limited_by) == (10, (Limiter.PARTITIONS,))
    assert ask_two(6, None).desired == 100, "of the other one any number of workers may take"
    assert ask_two(6, 4, age=60.0).desired == 90, "the other one is not known"
    assert ask_two(6, 4, current=12).desired == 10


def test_each_limiter_that_clips_is_named_in_the_order_in_which_they_act() -> None:
    decision = ask(
        90,
        current=20,
        up=Pace(pods=50),
        downstream_concurrency=200,
        rate_limit=320.0,
        traffic=Traffic(service_seconds=0.5),
        max_replicas=30,
    )
    assert decision.desired == 30
    assert decision.limited_by == (
        Limiter.SCALE_UP_RATE,
        Limiter.DOWNSTREAM_CONCURRENCY,
        Limiter.RATE_LIMIT,
        Limiter.MAX_REPLICAS,
    )


def test_the_bounds_have_the_last_word() -> None:
    assert ask(0, current=9, min_replicas=5, downstream_concurrency=4).desired == 5
    assert ask(0, current=9, min_replicas=5, down=Pace(pods=1)).desired == 8


# Properties of all of them together

_paces = st.builds(
    Pace,
    stabilization_seconds=st.sampled_from([0.0, 5.0, 60.0]),
    pods=st.none() | st.integers(1, 50),
    percent=st.none() | st.integers(1, 100),
)
_rules = st.fixed_dictionaries(
    {
        "min_replicas": st.integers(0, 3),
        "max_replicas": st.integers(3, 100),
        "cooldown_seconds": st.sampled_from([0.0, 300.0]),
        "up": _paces,
        "down": _paces,
        "downstream_concurrency": st.sampled_from([0, 4, 40]),
        "rate_limit": st.none() | st.floats(0.1, 1000.0),
        "targets": st.builds(
            Targets,
            queue_depth_per_replica=st.none() | st.integers(1, 50),
            job_latency_seconds=st.none() | st.integers(1, 600),
            utilization=st.none() | st.sampled_from(["0.3", "0.75", 1]),
        ),
        "traffic": st.builds(
            Traffic, arrivals=st.none() | st.floats(0.0, 100.0), service_seconds=st.none() | st.floats(0.001, 60.0)
        ),
    }
)


@given(rules=_rules, waiting=st.integers(0, 10_000), current=st.integers(0, 100))
def test_a_size_is_within_its_bounds_and_the_same_when_asked_twice(
    rules: dict[str, Any], waiting: int, current: int
) -> None:
    first, again = (ask(waiting, current=current, **rules) for _ in range(2))
    assert first == again
    assert rules["min_replicas"] <= first.desired <= rules["max_replicas"]
    assert first.look_again is None or first.look_again > 0


@given(rules=_rules, waiting=st.integers(1, 10_000), more=st.integers(0, 10_000), current=st.integers(0, 100))
def test_more_jobs_never_make_a_smaller_pool(rules: dict[str, Any], waiting: int, more: int, current: int) -> None:
    small, large = ask(waiting, current=current, **rules), ask(waiting + more, current=current, **rules)
    assert small.desired <= large.desired


@given(rules=_rules, waiting=st.integers(0, 10_000), current=st.integers(0, 100))
def test_on_constant_input_the_size_only_ever_moves_one_way(rules: dict[str, Any], waiting: int, current: int) -> None:
    rules["min_replicas"] = min(rules["min_replicas"], current)
    rules["max_replicas"] = max(rules["max_replicas"], current)
    sizes = [current, *follow([(1000.0 + 5 * step, waiting) for step in range(80)], current=current, **rules)]
    assert sizes in (sorted(sizes), sorted(sizes, reverse=True))


@given(rules=_rules, current=st.integers(3, 100), read=st.booleans())
def test_nothing_is_taken_away_on_what_is_not_known(rules: dict[str, Any], current: int, read: bool) -> None:  # noqa: FBT001
    """But for what somebody says that there may be at most."""
    rules |= {"downstream_concurrency": 0, "rate_limit": None, "max_replicas": 100}
    asked = inputs(0, current=current, **rules)
    asked = replace(asked, queues=("main", "other"), samples=asked.samples if read else ())
    assert decide(asked).desired >= current
