"""What the report says of jobs in flight."""

import asyncio

from workerpool.broker import Taken
from workerpool.broker._memory import MemoryBroker
from workerpool.broker._memory_store import MemoryStore
from workerpool.runtime.inflight import InFlight, Running


def job(*, timeout: float | None = None, started: float | None = 0.0, taken: float = 0.0) -> Running:
    one = Taken(token="t", job_id="t", type="t", payload=b"", attempt=1, waited=0.0)
    return Running(
        one, "main", taken, MemoryBroker(MemoryStore(), lease_seconds=60), started_at=started, timeout=timeout
    )


def test_nothing_in_flight_needs_no_time() -> None:
    assert InFlight().remaining_seconds(5.0) == 0.0


def test_the_longest_declared_timeout_minus_age_counts() -> None:
    in_flight = InFlight()
    in_flight.add(job(timeout=30, started=100))
    in_flight.add(job(timeout=20, started=115))
    in_flight.add(job(timeout=10, started=None))
    assert in_flight.remaining_seconds(120.0) == 15.0


def test_a_job_without_timeout_may_take_for_ever() -> None:
    in_flight = InFlight()
    in_flight.add(job(timeout=30))
    in_flight.add(job(timeout=None))
    assert in_flight.remaining_seconds(1.0) is None


def test_a_job_that_is_being_settled_runs_no_more() -> None:
    in_flight, one = InFlight(), job(timeout=None)
    in_flight.add(one)
    one.settling = True
    assert in_flight.remaining_seconds(1.0) == 0.0
    assert len(in_flight) == 1


def test_the_oldest_unstarted_job_is_told() -> None:
    in_flight = InFlight()
    assert in_flight.unstarted_since() is None
    in_flight.add(job(started=1.0))
    assert in_flight.unstarted_since() is None
    in_flight.add(job(started=None, taken=7.0))
    in_flight.add(job(started=None, taken=5.0))
    assert in_flight.unstarted_since() == 5.0


def test_a_job_that_goes_back_unstarted_is_not_held_against_the_worker() -> None:
    in_flight, refused = InFlight(), job(started=None, taken=5.0)
    in_flight.add(refused)
    refused.settling = True
    assert in_flight.unstarted_since() is None


def test_a_job_that_waits_to_run_alone_is_not_held_against_the_worker() -> None:
    in_flight, suspect = InFlight(), job(started=None, taken=5.0)
    in_flight.add(suspect)
    suspect.alone = True
    assert in_flight.unstarted_since() is None


def test_the_same_token_twice_is_two_jobs() -> None:
    """The lease of the first was lost, and the job came back while its handler still cleans up."""
    in_flight, first, second = InFlight(), job(), job()
    in_flight.add(first)
    in_flight.add(second)
    in_flight.discard(first)
    assert list(in_flight) == [second]


async def test_empty_is_waited_for() -> None:
    in_flight, one = InFlight(), job()
    await in_flight.wait_empty()
    in_flight.add(one)
    waiting = asyncio.create_task(in_flight.wait_empty())
    await asyncio.sleep(0)
    assert not waiting.done()
    in_flight.discard(one)
    await waiting
