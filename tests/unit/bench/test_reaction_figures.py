"""What the comparison of scalers makes of what it saw."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.reaction import figures
from bench.reaction.figures import Done, Ready, Row, Seen, Work, bars, wasted
from bench.reaction.play import done, works
from bench.reaction.traces import DRAIN_SECONDS, SLOTS, Job, Trace
from workerpool_operator.cli.load.ledger import Event, Record
from workerpool_operator.cli.load.reaction import Step


def ready(*steps: tuple[float, str]) -> list[Ready]:
    """Pods by their letters."""
    return [Ready(at=at, pods=frozenset(pods)) for at, pods in steps]


def seen(**fields: Any) -> Seen:
    return Seen(
        **{"ready": [], "sizes": [], "works": [], "jobs": [], "waits": [], "interrupted": 0, **fields},
    )


def test_a_ready_worker_without_a_job_is_wasted_from_when_it_is_ready_until_the_window_ends() -> None:
    """Nothing else counts: before and after, there is no worker."""
    assert wasted(seen(ready=ready((-5.0, "a"), (10.0, ""))), window=100.0) == 10.0
    assert wasted(seen(ready=ready((0.0, ""), (40.0, "ab"))), window=100.0) == 120.0


def test_a_worker_with_one_job_of_five_is_not_wasted() -> None:
    """Nobody could end it without harm."""
    found = seen(
        ready=ready((0.0, "ab")),
        works=[Work(pod="a", began=0.0, ended=30.0), Work(pod="b", began=10.0, ended=20.0)],
        jobs=[Done(due=0.0, done=30.0), Done(due=10.0, done=20.0)],
    )
    assert wasted(found, window=50.0) == 10.0 + 0.0 + 10.0 + 2 * 20.0


def test_a_worker_that_waiting_jobs_need_is_not_wasted() -> None:
    """Six jobs wait for two seconds: two of three idle workers are needed."""
    found = seen(ready=ready((0.0, "abc")), jobs=[Done(due=0.0, done=2.0)] * (SLOTS + 1))
    assert wasted(found, window=2.0) == 2.0


def test_what_is_needed_beyond_the_busy_is_counted_once() -> None:
    """Five jobs fit into one worker: of two that share them both are busy, the third is wasted."""
    shared = [Work(pod=pod, began=0.0, ended=10.0) for pod in "aaabb"]
    found = seen(ready=ready((0.0, "abc")), works=shared, jobs=[Done(due=0.0, done=10.0)] * 5)
    assert wasted(found, window=10.0) == 10.0


def test_a_worker_that_is_being_stopped_is_neither_ready_nor_wasted() -> None:
    """Its jobs keep no other worker busy, yet they are not done."""
    found = seen(
        ready=ready((0.0, "ab"), (5.0, "b")),
        works=[Work(pod="a", began=0.0, ended=math.inf)],
        jobs=[Done(due=0.0, done=math.inf)],
    )
    # Until 5 b is idle; then one worker is needed for what is not done, and b is there for it. A slot of a was in vain.
    assert wasted(found, window=10.0) == 5.0 + 10.0 / SLOTS


def test_work_that_was_cut_off_is_wasted_to_the_end_of_its_drain() -> None:
    """As much of a worker as the attempt had; one that ended, and one whose worker is there still, are not in it."""
    found = seen(
        ready=ready((0.0, "ab"), (30.0, "b")),
        works=[
            Work(pod="a", began=10.0, ended=math.inf),
            Work(pod="a", began=10.0, ended=20.0),
            Work(pod="b", began=10.0, ended=math.inf),
        ],
    )
    assert figures.lost(found, window=100.0) == (20.0 + DRAIN_SECONDS) / SLOTS
    assert figures.lost(found, window=20.0) == 10.0 / SLOTS


@given(
    st.lists(st.tuples(st.floats(0, 90), st.sets(st.sampled_from("abcd"))), max_size=8),
    st.lists(st.tuples(st.sampled_from("abcd"), st.floats(0, 50), st.floats(0, 50)), max_size=12),
)
def test_waste_is_never_more_than_ready_nor_below_none(
    steps: list[tuple[float, set[str]]], attempts: list[tuple[str, float, float]]
) -> None:
    """Whatever happens; and more jobs never make it more."""
    states = [Ready(at=at, pods=frozenset(pods)) for at, pods in sorted(steps, key=lambda step: step[0])]
    idle = wasted(seen(ready=states), window=100.0)
    ends = [*(state.at for state in states[1:]), 100.0]
    total = sum(len(state.pods) * (end - state.at) for state, end in zip(states, ends, strict=True)) if states else 0.0
    assert idle == pytest.approx(total)
    jobs = [Done(due=began, done=began + took) for _, began, took in attempts]
    at_work = [Work(pod=pod, began=began, ended=began + took) for pod, began, took in attempts]
    assert -1e-6 <= wasted(seen(ready=states, works=at_work, jobs=jobs), window=100.0) <= idle + 1e-6


TRACE = Trace(name="burst", jobs=tuple(Job(due=10.0, seconds=9.0) for _ in range(SLOTS + 1)), window=60.0)
"""Needs two workers from 10 s on."""


def test_a_row_tells_all() -> None:
    """All are ready 3 s after the trace first needed them; only changes within the window count."""
    row = Row.of(
        "keda-1s",
        TRACE,
        seen(
            ready=ready((-1.0, ""), (2.5, "a"), (13.0, "ab"), (20.0, "")),
            sizes=[Step(-1.0, 0), Step(1.0, 1), Step(11.0, 2), Step(19.0, 0), Step(61.0, 1)],
            jobs=[Done(due=10.0, done=19.0)] * 6,
            waits=[0.1] * 19 + [4.0],
            interrupted=2,
        ),
    )
    assert row.to_json() == {
        "scaler": "keda-1s",
        "trace": "burst",
        "first_ready_seconds": 2.5,
        "all_ready_seconds": 3.0,
        "job_wait_p95_seconds": 0.1,
        "wasted_pod_seconds": 7.5 + 2.0,
        "jobs_interrupted": 2,
        "scale_changes": 3,
    }


def test_what_is_there_already_takes_no_time_and_what_never_comes_has_none() -> None:
    """A worker that always is there is Ready after 0 s; null says that never so many were."""
    always = Row.of("hpa-prometheus-adapter", TRACE, seen(ready=ready((-9.0, "a"))))
    assert (always.first_ready_seconds, always.all_ready_seconds) == (0.0, None)
    early = Row.of("hpa-prometheus-adapter", TRACE, seen(ready=ready((-9.0, "a"), (4.0, "ab"), (50.0, "a"))))
    assert early.all_ready_seconds == 0.0
    never = Row.of("keda-30s", TRACE, seen(ready=ready((-9.0, ""))))
    assert (never.first_ready_seconds, never.job_wait_p95_seconds) == (None, None)


def record(event: Event, pod: str, job: str, at: float) -> Record:
    return Record(event, job, int(1000 * at), pod=pod)


def test_attempts_are_told_apart_by_pod_and_job() -> None:
    """One that was cut off has no end; the one after it, elsewhere, has its own."""
    records = [
        record(Event.START, "a", "job-0", 101.0),
        record(Event.START, "a", "job-1", 102.0),
        record(Event.FINISH, "a", "job-1", 104.0),
        record(Event.START, "b", "job-0", 120.0),
        record(Event.FINISH, "b", "job-0", 125.0),
    ]
    assert works(records, zero_ms=100_000.0) == (
        Work(pod="a", began=2.0, ended=4.0),
        Work(pod="b", began=20.0, ended=25.0),
        Work(pod="a", began=1.0, ended=math.inf),
    )
    jobs = done(TRACE, records, zero_ms=100_000.0)
    assert jobs[:3] == (Done(due=10.0, done=25.0), Done(due=10.0, done=4.0), Done(due=10.0, done=math.inf))


def row(scaler: str, **fields: Any) -> Row:
    given = {"first_ready_seconds": 2.0, "all_ready_seconds": 5.0, "job_wait_p95_seconds": 1.0, **fields}
    return Row(
        scaler=scaler,
        **{"trace": "burst", "wasted_pod_seconds": 100.0, "jobs_interrupted": 0, "scale_changes": 2, **given},
    )


def test_bars_are_kept_at_their_very_value() -> None:
    """Ten times, twice, no more, none."""
    rows = [
        row(figures.DIRECT),
        row(figures.KEDA, first_ready_seconds=20.0, jobs_interrupted=3, wasted_pod_seconds=300.0),
        row(figures.FAST_KEDA, all_ready_seconds=10.0),
    ]
    found = bars(rows)
    assert len(found) == 4
    assert all(bar.kept for bar in found)


def test_bars_that_are_missed_say_by_how_much() -> None:
    """Each of them; what a peer interrupts is no bar of ours."""
    rows = [
        row(figures.DIRECT, jobs_interrupted=1, wasted_pod_seconds=100.5),
        row(figures.KEDA, first_ready_seconds=19.0),
        row(figures.FAST_KEDA, all_ready_seconds=9.0),
    ]
    assert [bar.found for bar in bars(rows) if not bar.kept] == [
        "9.5 times",
        "1.8 times",
        "100.5 beside 100 pod-seconds",
        "1 interrupted",
    ]


def test_a_part_of_the_rows_gives_a_part_of_the_bars() -> None:
    """Nothing is compared with what was not measured, or never happened."""
    assert bars([]) == []
    assert bars([row(figures.KEDA)]) == []
    assert [bar.promise for bar in bars([row(figures.HPA)])] == ["burst: workerpool-hpa interrupts no job"]
    never = [row(figures.DIRECT), row(figures.FAST_KEDA, all_ready_seconds=None)]
    assert len(bars(never)) == 2
