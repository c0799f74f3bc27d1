"""`wpool load` against each real broker, with the reference worker at work."""

import asyncio

import pytest

from tests.component.cli.loaded import JOB, Place, place
from tests.support.kafka import KafkaServer, make_topic
from tests.support.waiting import until
from workerpool import Queue
from workerpool_operator.cli.load import Progress, burst, run, steady
from workerpool_operator.cli.load.readers import Way
from workerpool_operator.cli.load.report import End
from workerpool_operator.cli.load.workers import Addresses

pytestmark = pytest.mark.component

__all__ = ["place"]  # a fixture


async def test_each_job_is_sent_and_told_of(place: Place) -> None:
    """Forty jobs of 10 ms, four at a time: the last one waits for nine rounds before it."""
    async with place.worked_on():
        report = await run(place.load(burst(jobs=40)), stop=asyncio.Event())
    assert report.end is End.DONE
    assert (report.jobs_enqueued, report.jobs_done, report.jobs_unconfirmed) == (40, 40, 0)
    assert (report.jobs_lost, report.jobs_dead, report.jobs_duplicated, report.jobs_interrupted) == (0, 0, 0, 0)
    assert report.by is (Way.STREAM if place.kind == "redis" else Way.QUEUE)
    assert report.runs.p50 is not None
    assert report.runs.p50 >= JOB["seconds"] * 0.9
    assert report.waits.p50 is not None
    assert report.waits.max is not None
    assert report.waits.max >= 9 * JOB["seconds"] * 0.9
    assert report.waits.p50 < report.waits.max < report.seconds
    assert report.throughput is not None
    assert 40 / report.seconds < report.throughput < 4 / JOB["seconds"] * 1.1


async def test_records_that_nobody_has_read_do_not_count_in_the_next_load(place: Place) -> None:
    async with place.worked_on():
        async with Queue.connect(place.url, stream=place.stream) as queue:
            await queue.enqueue("sleep", JOB, job_id="of-somebody-else")
        await run(place.load(burst(jobs=3)), stop=asyncio.Event())
        report = await run(place.load(burst(jobs=3)), stop=asyncio.Event())
    assert (report.jobs_enqueued, report.jobs_done, report.jobs_lost) == (3, 3, 0)


async def test_dead_letters_are_counted_without_any_record(place: Place) -> None:
    """Their payload is refused before the worker writes one; dead letters that were there before are none of ours."""
    async with place.worked_on():
        first = await run(place.load(burst(jobs=2), seconds=-1), stop=asyncio.Event())
        second = await run(place.load(burst(jobs=3), seconds=-1), stop=asyncio.Event())
    assert (first.end, first.jobs_dead, second.end, second.jobs_dead) == (End.DONE, 2, End.DONE, 3)


async def test_other_types_are_watched_by_depth(place: Place) -> None:
    async with place.worked_on():
        report = await run(place.load(burst(jobs=10), type="own"), stop=asyncio.Event())
    assert (report.end, report.by) == (End.DONE, Way.DEPTH)
    assert (report.jobs_enqueued, report.jobs_done, report.jobs_lost, report.jobs_dead) == (10, None, None, 0)


async def test_the_metrics_of_workers_tell_of_other_types(place: Place) -> None:
    """Done, waited and took, of the jobs of this load only."""
    async with place.worked_on() as worker:
        await until(lambda: worker.metrics_port, what="a worker that serves its metrics")
        workers = Addresses([f"http://127.0.0.1:{worker.metrics_port}/metrics"])
        await run(place.load(burst(jobs=3), type="own"), stop=asyncio.Event())
        report = await run(place.load(burst(jobs=10), type="own"), stop=asyncio.Event(), workers=workers)
    assert (report.end, report.by, report.jobs_done, report.jobs_lost) == (End.DONE, Way.WORKERS, 10, None)
    assert report.told is not None
    assert (report.told.waits.count, report.told.runs.count) == (10, 10)
    assert report.throughput is not None
    assert 10 / report.seconds < report.throughput


async def test_workers_that_cannot_be_asked_are_named(place: Place) -> None:
    async with place.worked_on():
        load, workers = place.load(burst(jobs=2), type="own"), Addresses(["http://127.0.0.1:1/metrics"])
        report = await run(load, stop=asyncio.Event(), workers=workers)
    assert (report.end, report.by) == (End.DONE, Way.DEPTH)
    assert "127.0.0.1:1/metrics" in report.why


async def test_a_load_that_is_stopped_reports_what_the_broker_has(place: Place) -> None:
    """Nobody works: so all that was sent is in the queue, and not one more."""
    stop = asyncio.Event()

    def after_some(progress: Progress) -> None:
        if progress.enqueued >= 20:
            stop.set()

    report = await run(place.load(steady(rate=100, jobs=100_000)), stop=stop, on_progress=after_some)
    async with Queue.connect(place.url, stream=place.stream) as queue:
        waiting = (await queue.depth()).waiting
    assert (report.end, report.jobs_enqueued, report.jobs_unconfirmed) == (End.STOPPED, waiting, 0)
    assert 20 <= waiting < 100_000


@pytest.mark.kafka
async def test_without_a_topic_for_records_jobs_are_sent_nevertheless(
    kafka_server: KafkaServer, redis_stream: str
) -> None:
    """And none asks its worker for records that could not be written."""
    await make_topic(kafka_server.url, redis_stream)
    place = Place("kafka", kafka_server.url, redis_stream)
    async with place.worked_on():
        report = await run(place.load(burst(jobs=5)), stop=asyncio.Event())
    assert (report.end, report.by, report.jobs_dead) == (End.DONE, Way.DEPTH, 0)
    assert f"{redis_stream}-results" in report.why
