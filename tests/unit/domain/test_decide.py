"""Sizes follow from samples; unknown is not zero."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workerpool_operator.api import Limiter, Targets
from workerpool_operator.domain.scaling import Decision, History, Inputs, Outcome, Pace, Rules, Sample, decide

RULES = Rules(
    manual_replicas=None,
    min_replicas=0,
    max_replicas=50,
    cooldown_seconds=300,
    slots=1,
    targets=Targets(),
)


def sample(waiting: int | None, in_flight: int | None = 0, *, queue: str = "main", age: float = 0.1) -> Sample:
    return Sample(queue=queue, waiting=waiting, in_flight=in_flight, age=age, poll_seconds=1.0)


def ask(
    *samples: Sample,
    current: int = 0,
    now: float = 1000.0,
    history: History | None = None,
    queues: tuple[str, ...] = ("main",),
    pod_start_seconds: float = 0.0,
    **rules: object,
) -> Decision:
    return decide(
        Inputs(
            rules=replace(RULES, **rules),  # type: ignore[arg-type]
            queues=queues,
            samples=samples,
            current=current,
            history=history or History(since=0.0, active_at=now),
            now=now,
            pod_start_seconds=pod_start_seconds,
        )
    )


def test_depth_per_replica_counts_waiting_and_running() -> None:
    assert ask(sample(95, 5), targets=Targets(queue_depth_per_replica=20)).desired == 5


def test_depth_grows_in_proportion_above_its_limit() -> None:
    assert ask(sample(130), current=4, targets=Targets(queue_depth=100)).desired == 6


def test_depth_is_not_asked_again_before_the_last_answer_could_act() -> None:
    targets = Targets(queue_depth=100)
    first = ask(sample(200), current=4, targets=targets)
    again = ask(sample(200), current=8, targets=targets, now=1001.0, history=first.history)
    later = ask(sample(200), current=8, targets=targets, now=1015.0, history=first.history)
    assert (first.desired, again.desired, later.desired) == (8, 8, 16)


def test_depth_waits_for_slow_starters() -> None:
    targets = Targets(queue_depth=100)
    first = ask(sample(200), current=4, targets=targets)
    again = ask(sample(200), current=8, targets=targets, now=1030.0, history=first.history, pod_start_seconds=60.0)
    assert again.desired == 8


def test_depth_below_its_limit_keeps_what_carries_the_running_jobs() -> None:
    targets = Targets(queue_depth=100)
    assert ask(sample(50, 35), current=6, slots=10, targets=targets).desired == 4
    assert ask(sample(1, 0), current=6, slots=10, targets=targets).desired == 1


def test_the_largest_target_counts_and_all_are_told() -> None:
    decision = ask(sample(300), current=2, targets=Targets(queue_depth=100, queue_depth_per_replica=20))
    assert decision.desired == 15
    assert [(term.name, term.value) for term in decision.terms] == [("queueDepthPerReplica", 15), ("queueDepth", 6)]


def test_twenty_jobs_a_worker_when_no_target_is_set() -> None:
    assert ask(sample(41)).desired == 3


def test_queues_of_a_pool_are_added_up() -> None:
    decision = ask(sample(30, queue="a"), sample(30, queue="b"), queues=("a", "b"))
    assert decision.desired == 3


def test_limits_clip_and_are_named() -> None:
    high = ask(sample(10_000))
    assert (high.desired, high.limited_by) == (50, (Limiter.MAX_REPLICAS,))
    low = ask(sample(0), min_replicas=2, current=5)
    assert (low.desired, low.limited_by) == (2, (Limiter.MIN_REPLICAS,))


def test_the_last_worker_stays_until_the_queues_were_empty_for_the_cooldown() -> None:
    history = History(since=0.0, active_at=1000.0)
    early = ask(sample(0), current=1, now=1299.0, history=history)
    assert (early.desired, early.limited_by) == (1, (Limiter.COOLDOWN,))
    assert early.look_again == 1.0
    assert ask(sample(0), current=1, now=1300.0, history=history).desired == 0


def test_a_sleeping_pool_is_not_woken_by_the_cooldown() -> None:
    assert ask(sample(0), current=0).desired == 0


def test_running_jobs_keep_the_cooldown_from_beginning() -> None:
    decision = ask(sample(0, 1), current=1, history=History(since=0.0, active_at=0.0))
    assert decision.history.active_at == 1000.0


def test_one_job_wakes_a_sleeping_pool() -> None:
    assert ask(sample(1), current=0).desired == 1


def test_stale_samples_hold_the_size() -> None:
    decision = ask(sample(0, age=5.1), current=7)
    assert (decision.desired, decision.outcome) == (7, Outcome.HELD)


def test_failed_readings_hold_the_size() -> None:
    assert ask(sample(None, None), current=7).desired == 7


def test_a_slow_poll_makes_samples_last_longer() -> None:
    slow = replace(sample(0, age=14.0), poll_seconds=5.0)
    assert slow.usable
    assert not replace(slow, age=15.1).usable


def test_no_sample_holds_within_the_limits() -> None:
    assert ask(current=0, min_replicas=3).desired == 3


def test_half_knowledge_may_grow_and_never_shrinks() -> None:
    queues = ("a", "b")
    grown = ask(sample(100, queue="a"), sample(0, queue="b", age=60), queues=queues, current=2)
    held = ask(sample(0, queue="a"), sample(0, queue="b", age=60), queues=queues, current=2)
    assert (grown.desired, grown.outcome) == (5, Outcome.PARTIAL)
    assert (held.desired, Limiter.STALE in held.limited_by) == (2, True)


def test_a_sample_of_a_queue_that_was_removed_counts_for_nothing() -> None:
    assert ask(sample(1000, queue="old"), sample(1), current=0).desired == 1


def test_manual_is_the_persons_word() -> None:
    decision = ask(sample(1000), manual_replicas=60, current=3)
    assert (decision.desired, decision.outcome) == (60, Outcome.MANUAL)


def test_shrinking_follows_the_largest_wish_of_the_window() -> None:
    history = History(since=0.0, active_at=1000.0)
    for now, waiting, desired in [
        (1000.0, 200, 10),
        (1010.0, 60, 10),
        (1020.0, 20, 10),
        (1030.5, 20, 3),
        (1041.0, 20, 1),
    ]:
        decision = ask(sample(waiting), current=10, now=now, history=history, down=Pace(stabilization_seconds=30))
        assert decision.desired == desired, now
        history = decision.history


def test_a_new_leader_shrinks_nothing_before_one_window_is_over() -> None:
    history = History(since=990.0, active_at=990.0)
    early = ask(sample(20), current=10, history=history, down=Pace(stabilization_seconds=30))
    assert (early.desired, early.limited_by) == (10, (Limiter.STABILIZATION,))
    assert early.look_again == 20.0
    late = ask(sample(20), current=10, now=1020.0, history=history, down=Pace(stabilization_seconds=30))
    assert late.desired == 1


_counts = st.integers(0, 10**6)


@given(waiting=_counts, running=_counts, current=st.integers(0, 50), window=st.integers(0, 60), age=st.floats(0, 10))
def test_the_size_is_always_within_its_limits_and_the_same_when_asked_twice(
    waiting: int, running: int, current: int, window: int, age: float
) -> None:
    first = ask(
        sample(waiting, running, age=age), current=current, min_replicas=1, down=Pace(stabilization_seconds=window)
    )
    again = ask(
        sample(waiting, running, age=age), current=current, min_replicas=1, down=Pace(stabilization_seconds=window)
    )
    assert first == again
    assert 1 <= first.desired <= 50


@given(waiting=_counts, current=st.integers(0, 50), queues=st.integers(1, 3))
def test_a_missing_sample_never_shrinks_a_pool(waiting: int, current: int, queues: int) -> None:
    names = tuple(f"q{i}" for i in range(queues + 1))
    decision = ask(*(sample(waiting, queue=name) for name in names[:-1]), queues=names, current=current)
    assert decision.desired >= current


@pytest.mark.parametrize("window", [0, 10])
def test_history_stays_small_however_many_samples_come(window: int) -> None:
    history = History(since=0.0, active_at=0.0)
    for tick in range(500):
        decision = ask(
            sample(tick % 100 * 20),
            current=5,
            now=tick * 0.25,
            history=history,
            down=Pace(stabilization_seconds=window),
        )
        history = decision.history
    assert len(history.peaks) <= 101


def test_jobs_that_came_and_went_between_two_readings_keep_the_pool_awake() -> None:
    def reading(arrivals: int | None) -> Sample:
        return replace(sample(0), arrivals=arrivals)

    quiet = History(since=0.0, active_at=0.0)
    first = ask(reading(10), current=1, now=100.0, history=quiet, cooldown_seconds=300)
    still = ask(reading(10), current=1, now=301.0, history=first.history, cooldown_seconds=300)
    passed = ask(reading(11), current=1, now=301.0, history=first.history, cooldown_seconds=300)
    assert (still.desired, passed.desired) == (0, 1)
    assert passed.limited_by == (Limiter.COOLDOWN,)
    over = ask(reading(11), current=1, now=602.0, history=passed.history, cooldown_seconds=300)
    emptied = ask(reading(2), current=1, now=602.0, history=passed.history, cooldown_seconds=300)
    uncounted = ask(reading(None), current=1, now=602.0, history=passed.history, cooldown_seconds=300)
    assert (over.desired, emptied.desired, uncounted.desired) == (0, 0, 0)


@pytest.mark.parametrize("read", [[], [sample(100)], [sample(0)]])
@pytest.mark.parametrize("rules", [{}, {"manual_replicas": 7}, {"min_replicas": 3}])
def test_a_pool_that_is_stopped_has_no_workers_whatever_asks_for_some(
    read: list[Sample], rules: dict[str, Any]
) -> None:
    """Also while its queues cannot be read; and of its budget it wants nothing."""
    decision = ask(*read, current=4, suspended=True, **rules)
    assert (decision.desired, decision.wanted, decision.limited_by) == (0, 0, (Limiter.SUSPENDED,))
