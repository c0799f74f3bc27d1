"""The load that every scaler gets."""

import itertools

from bench.reaction.play import PATIENCE_SECONDS
from bench.reaction.traces import MAX_REPLICAS, SLOTS, TRACES, Job, Trace

BURST, RAMP = TRACES["burst"], TRACES["ramp"]


def test_a_trace_needs_what_its_jobs_take_that_start_when_they_are_due() -> None:
    """Six jobs at a time are two workers of five; who ends at a moment makes room for who begins then."""
    jobs = [Job(due=0.0, seconds=2.0) for _ in range(5)] + [Job(due=2.0, seconds=1.0), Job(due=2.5, seconds=1.0)]
    assert Trace(name="x", jobs=tuple(jobs), window=9.0).needed == (0.0, 1)
    assert Trace(name="x", jobs=(*jobs[:5], Job(due=1.0, seconds=3.0)), window=9.0).needed == (1.0, 2)


def test_the_burst_needs_all_workers_at_once() -> None:
    """So all have to become Ready, however long that takes."""
    assert BURST.needed == (0.0, MAX_REPLICAS)
    assert all(job.due == 0.0 for job in BURST.jobs)
    assert len(BURST.jobs) == MAX_REPLICAS * SLOTS


def test_the_ramp_grows_stays_and_falls() -> None:
    """As many jobs come in the last minute as in the first, and most in the second; in order of time."""
    dues = [job.due for job in RAMP.jobs]
    by_minute = [sum(60.0 * minute <= due < 60.0 * (minute + 1) for due in dues) for minute in range(4)]
    assert by_minute == [84, 168, 84, 0]
    assert dues == sorted(dues)
    gaps = [after - before for before, after in itertools.pairwise(dues)]
    assert min(gaps[84:251]) > 0.35
    assert max(gaps[84:251]) < 0.36
    assert gaps[1] > gaps[40] > gaps[80]
    assert gaps[-1] > gaps[-40] > gaps[-80]


def test_the_ramp_stays_well_between_two_sizes() -> None:
    """An HPA does nothing about a tenth more than a size's worth: nobody is measured by that."""
    at, needed = RAMP.needed
    most = max(
        sum(job.due <= moment < job.due + job.seconds for job in RAMP.jobs) for moment in (job.due for job in RAMP.jobs)
    )
    assert needed < MAX_REPLICAS
    assert 1.1 * SLOTS * (needed - 1) < most <= SLOTS * needed
    assert at < 90.0


def test_some_jobs_of_the_ramp_outlast_the_end_of_a_pod() -> None:
    """Else nobody could interrupt any."""
    assert sum(job.seconds > 30.0 for job in RAMP.jobs) == len(RAMP.jobs) // 8


def test_traces_take_minutes_and_end() -> None:
    """All jobs are due, and could be done, well before the window ends; with patience it is below 10 minutes."""
    for trace in TRACES.values():
        assert max(job.due + job.seconds for job in trace.jobs) + 15.0 < trace.window <= 240.0
        assert trace.schedule.jobs == len(trace.jobs)
        assert trace.schedule.due(len(trace.jobs) - 1) == trace.jobs[-1].due
        assert trace.window + PATIENCE_SECONDS < 600.0
