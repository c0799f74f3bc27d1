"""What counters show of the time between two looks."""

from dataclasses import replace
from typing import Any

import pytest

from workerpool_operator.domain.rollout.evidence import Signal
from workerpool_operator.domain.rollout.ledger import Happened, Ledger, PodState, Reading, Side, observe
from workerpool_operator.domain.rollout.mixture import Interval
from workerpool_operator.domain.rollout.spread import Spread, cell

LEASE = 60.0
FAILURES, SLOW, CRASHES = Signal.FAILURES, Signal.SLOW, Signal.CRASHES


def reading(uid: str = "c", side: Side = Side.CANARY, **fields: Any) -> Reading:
    """A warm worker that has done nothing."""
    known: dict[str, Any] = {
        "start": "1",
        "age_seconds": 600.0,
        "heard_at": 0.0,
        "started": 0,
        "finished": 0,
        "in_flight": 0,
        "first_attempts": 0,
        "first_failures": 0,
        "first_slow": 0,
    }
    return Reading(uid=uid, side=side, **known | fields)


def done(jobs: int, failed: int = 0, **fields: Any) -> Reading:
    """After so many first attempts, all of them over."""
    counters = {"started": jobs, "finished": jobs, "first_attempts": jobs, "first_failures": failed}
    return reading(**counters | fields)


def play(*looks: tuple[float, list[Reading]], ledger: Ledger | None = None) -> tuple[Ledger, list[Happened]]:
    """Looks at these times."""
    ledger, happened = ledger or Ledger(), []
    for now, readings in looks:
        ledger, one = observe(ledger, readings, now=now, warmup_seconds=60.0, lease_seconds=LEASE)
        happened.append(one)
    return ledger, happened


def failures(happened: Happened) -> Interval:
    return happened.intervals.get(FAILURES, Interval())


def total(happened: list[Happened]) -> Interval:
    whole = Interval()
    for one in happened:
        whole = whole.plus(failures(one))
    return whole


def test_the_first_reading_is_a_baseline() -> None:
    _, (first, second) = play((0, [done(500, 100)]), (10, [done(510, 102, heard_at=10.0, first_slow=3)]))
    assert first == Happened()
    assert failures(second) == Interval(10, 2, 0, 0)
    assert second.intervals[SLOW] == Interval(10, 3, 0, 0)
    assert second.incidents == {FAILURES: 1, SLOW: 1}


def test_the_stable_version_has_its_own_columns_and_no_incidents() -> None:
    looks = [(at, [done(int(at), int(at) // 10, side=Side.STABLE, heard_at=at)]) for at in (0.0, 10.0)]
    _, (_, second) = play(*looks)
    assert failures(second) == Interval(0, 0, 10, 1)
    assert second.incidents == {}


def test_a_reading_that_is_read_twice_counts_once() -> None:
    later = done(10, 1, heard_at=10.0)
    _, happened = play((0, [done(0)]), (10, [later]), (11, [later]))
    assert total(happened) == Interval(10, 1, 0, 0)


def test_counters_begin_anew_with_the_process() -> None:
    _, happened = play((0, [done(90, 9)]), (10, [done(4, 1, start="2", heard_at=10.0, first_slow=1)]))
    assert total(happened) == Interval(4, 1, 0, 0)
    assert happened[1].intervals[SLOW] == Interval(4, 1, 0, 0)


def test_a_counter_that_fell_is_another_process() -> None:
    _, happened = play((0, [done(90, 9)]), (10, [done(4, 1, heard_at=10.0)]))
    assert total(happened) == Interval(4, 1, 0, 0)


@pytest.mark.parametrize("side", Side)
def test_what_a_process_does_while_it_warms_up_is_left_out_on_both_sides(side: Side) -> None:
    warming = [(at, [done(int(at), int(at), side=side, heard_at=at, age_seconds=at)]) for at in (10.0, 30.0, 59.0)]
    _, happened = play(*warming, (70, [done(70, 60, side=side, heard_at=70.0, age_seconds=70.0)]))
    assert sum(total(happened)) == 11 + 1


def test_a_new_process_warms_up_as_well() -> None:
    young = done(4, 4, start="2", heard_at=10.0, age_seconds=5.0)
    old = done(9, 4, start="2", heard_at=70.0, age_seconds=65.0)
    _, happened = play((0, [done(90)]), (10, [young]), (70, [old]))
    assert total(happened) == Interval(5, 0, 0, 0)


def test_an_attempt_is_a_trial_when_it_is_over() -> None:
    running = reading(started=5, in_flight=5, first_attempts=5, heard_at=10.0)
    _, happened = play((0, [reading()]), (10, [running]), (20, [done(5, 2, heard_at=20.0)]))
    assert failures(happened[1]) == Interval(0, 0, 0, 0)
    assert failures(happened[2]) == Interval(5, 2, 0, 0)


def test_retries_in_flight_take_no_trial_back() -> None:
    retrying = replace(done(10, 1, heard_at=20.0), started=14, in_flight=4)
    _, happened = play((0, [done(0)]), (10, [done(10, 1, heard_at=10.0)]), (20, [retrying]))
    assert total(happened) == Interval(10, 1, 0, 0)


def test_jobs_of_a_worker_that_is_gone_are_lost_when_their_lease_is_over() -> None:
    busy = reading(started=5, finished=2, in_flight=3, first_attempts=5, heard_at=10.0)
    ledger, happened = play((0, [reading()]), (10, [busy]), (20, []), (69, []))
    assert total(happened) == Interval(2, 0, 0, 0)
    ledger, happened = play((70, []), (80, []), ledger=ledger)
    assert failures(happened[0]) == Interval(3, 3, 0, 0)
    assert happened[0].incidents == {FAILURES: 1}
    assert happened[1] == Happened()
    assert ledger == Ledger()


def test_jobs_of_a_stable_worker_that_is_gone_are_lost_as_well() -> None:
    busy = reading(side=Side.STABLE, started=5, in_flight=5, first_attempts=5, heard_at=10.0)
    _, happened = play((0, [reading(side=Side.STABLE)]), (10, [busy]), (20, []), (70, []))
    assert failures(happened[3]) == Interval(0, 0, 5, 5)
    assert happened[3].incidents == {}


@pytest.mark.parametrize("excuse", [{"evicted": True}, {"last_words": True}])
def test_what_an_evicted_or_drained_worker_leaves_is_not_lost(excuse: dict[str, Any]) -> None:
    busy = reading(started=5, in_flight=5, first_attempts=5, heard_at=10.0, **excuse)
    _, happened = play((0, [reading()]), (10, [busy]), (20, []), (200, []))
    assert total(happened) == Interval()


def test_jobs_of_a_process_that_died_are_lost_although_its_pod_lives() -> None:
    busy = reading(started=5, in_flight=5, first_attempts=5, heard_at=10.0)
    again = [reading(start="2", heard_at=at) for at in (20.0, 70.0)]
    _, happened = play((0, [reading()]), (10, [busy]), (20, [again[0]]), (70, [again[1]]))
    assert total(happened) == Interval(5, 5, 0, 0)


def test_a_worker_that_was_only_not_seen_for_a_moment_has_lost_nothing() -> None:
    busy = reading(started=5, in_flight=5, first_attempts=5, heard_at=10.0)
    back = replace(busy, heard_at=30.0)
    _, happened = play((0, [reading()]), (10, [busy]), (20, []), (30, [back]), (200, [back]))
    assert total(happened) == Interval()


def test_what_a_worker_began_before_it_was_watched_is_not_laid_to_it() -> None:
    _, happened = play((0, [reading(started=5, in_flight=5, first_attempts=5)]), (10, []), (200, []))
    assert total(happened) == Interval()


def test_jobs_that_a_live_worker_no_longer_has_are_lost_after_a_lease() -> None:
    missing = [reading(started=8, finished=5, first_attempts=8, heard_at=at) for at in (10.0, 50.0, 70.0, 200.0)]
    _, happened = play((0, [reading()]), *((one.heard_at, [one]) for one in missing))
    assert [failures(one) for one in happened[1:]] == [
        Interval(8, 0, 0, 0),
        Interval(0, 0, 0, 0),
        Interval(0, 3, 0, 0),
        Interval(0, 0, 0, 0),
    ]


def test_jobs_that_a_live_worker_tells_of_later_are_not_lost() -> None:
    missing = reading(started=8, finished=5, first_attempts=8, heard_at=10.0)
    told = replace(missing, finished=8, heard_at=50.0)
    _, happened = play((0, [reading()]), (10, [missing]), (50, [told]), (90, [replace(told, heard_at=90.0)]))
    assert total(happened) == Interval(8, 0, 0, 0)


def deaths(*looks: tuple[float, list[PodState]]) -> tuple[Ledger, list[Happened]]:
    """Looks at pods whose workers nobody hears."""
    ledger, happened = Ledger(), []
    for now, pods in looks:
        ledger, one = observe(ledger, [], pods, now=now, warmup_seconds=60.0, lease_seconds=LEASE)
        happened.append(one)
    return ledger, happened


def state(crashes: int = 0, uid: str = "c", side: Side = Side.CANARY, **fields: Any) -> PodState:
    return PodState(uid=uid, side=side, crashes=crashes, **fields)


def test_deaths_are_counted_per_minute_of_the_pod_also_where_its_worker_never_spoke() -> None:
    _, happened = deaths((0, [state(1)]), (30, [state(3, ready=False)]))
    assert happened[0] == Happened()
    assert happened[1].intervals == {CRASHES: Interval(0.5, 2, 0, 0)}
    assert happened[1].incidents == {CRASHES: 1}


def test_deaths_of_a_stable_pod_are_no_incident_of_the_canary() -> None:
    _, happened = deaths((0, [state(side=Side.STABLE)]), (30, [state(1, side=Side.STABLE)]))
    assert happened[1].intervals == {CRASHES: Interval(0, 0, 0.5, 1)}
    assert happened[1].incidents == {}


def test_deaths_of_one_pod_within_a_minute_are_one_incident() -> None:
    _, happened = deaths((0, [state()]), (10, [state(1)]), (60, [state(2)]), (71, [state(3)]))
    assert [one.incidents.get(CRASHES, 0) for one in happened] == [0, 1, 0, 1]


def test_the_death_of_an_evicted_pod_is_no_crash() -> None:
    _, happened = deaths((0, [state()]), (60, [state(1, evicted=True)]))
    assert happened[1].intervals[CRASHES] == Interval(1.0, 0, 0, 0)


def test_deaths_are_summed_by_pod_until_it_is_gone() -> None:
    stable = state(0, "s", Side.STABLE)
    ledger, happened = deaths((0, [state(), state(0, "d"), stable]), (60, [state(1), state(0, "d"), stable]))
    assert ledger.cells(CRASHES, Side.CANARY) == cell(1, 1).plus(cell(1, 0))
    assert ledger.cells(CRASHES, Side.STABLE) == cell(1, 0)
    assert happened[1].closed == {}
    ledger, gone = observe(ledger, [], [stable], now=61.0, warmup_seconds=60.0, lease_seconds=LEASE)
    assert gone.closed == {(CRASHES, Side.CANARY): cell(1, 1).plus(cell(1, 0))}


def test_a_pod_that_was_seen_once_leaves_nothing() -> None:
    _, happened = deaths((0, [state()]), (60, []))
    assert happened[1] == Happened()


def test_what_a_worker_does_not_count_is_not_judged() -> None:
    looks = [(at, [done(int(at), heard_at=at, first_slow=None)]) for at in (0.0, 10.0)]
    _, happened = play(*looks)
    assert set(happened[1].intervals) == {FAILURES}


def test_failures_of_one_pod_within_a_minute_are_one_incident_and_those_of_two_pods_are_two() -> None:
    looks = [(at, [done(int(at), int(at), uid=uid, heard_at=at) for uid in "ab"]) for at in (0.0, 10.0, 40.0, 71.0)]
    _, happened = play(*looks)
    assert [one.incidents.get(FAILURES, 0) for one in happened] == [0, 2, 0, 2]


def test_failures_are_summed_by_pod_until_it_is_gone() -> None:
    looks = [
        (at, [done(int(at), failed, uid=uid, heard_at=at) for uid, failed in (("a", 0), ("b", int(at) // 10))])
        for at in (0.0, 10.0, 20.0)
    ]
    ledger, _ = play(*looks)
    assert ledger.cells(FAILURES, Side.CANARY) == cell(20, 0).plus(cell(20, 2))
    assert ledger.cells(FAILURES, Side.STABLE) == Spread()
    ledger, (gone,) = play((30, [done(20, 0, uid="a", heard_at=30.0)]), ledger=ledger)
    assert gone.closed[FAILURES, Side.CANARY] == cell(20, 2)
    assert ledger.cells(FAILURES, Side.CANARY) == cell(20, 0)
