"""Samplers of queues at rest whose broker tells nobody of jobs. Time is virtual (looptime)."""

import asyncio
from dataclasses import replace
from functools import partial

import pytest

from tests.support.waiting import until
from tests.unit.collector.scripted import DEAR, SILENT, Source, now, pod, sampling
from workerpool.broker import BrokerUnavailable
from workerpool.protocol import Counters, Report
from workerpool_operator.collector.board import WorkerState
from workerpool_operator.collector.cadence import BUSY_SECONDS, LONGEST_REST_SECONDS
from workerpool_operator.protocol import QueueSample

pytestmark = pytest.mark.looptime


async def test_a_broker_whose_readings_are_dear_is_asked_every_five_seconds_after_a_minute_at_rest() -> None:
    source = Source(capabilities=SILENT)
    async with sampling(source, pools=DEAR):
        await asyncio.sleep(90)
        source.read_at.clear()
        await asyncio.sleep(60.01)
    assert len(source.read_at) == pytest.approx(12, abs=1)


async def test_a_worker_that_begins_a_job_has_a_queue_at_rest_read_soon() -> None:
    """Of a broker that tells nobody of jobs, and once in a while only where they are gone by then."""
    source = Source(capabilities=SILENT, in_flight=None)
    async with sampling(source, pools=DEAR) as told:
        await asyncio.sleep(90)
        source.read_at.clear()
        began, worker = now(), WorkerState(pod="a", uid="a", version="v", source="stream")
        told.board.pod_seen(pod("a"))
        told.board.heard("web", replace(worker, report=Report(in_flight=1, slots=4, counters=Counters(started=1))))
        await asyncio.sleep(BUSY_SECONDS)
        assert source.read_at[0] <= began + BUSY_SECONDS
        assert told.sample().in_flight == 1
        told.board.heard("web", replace(worker, report=Report(in_flight=0, slots=4, counters=Counters(started=1))))
        await asyncio.sleep(90)
        source.read_at.clear()
        for started in range(2, 402):
            done = Report(in_flight=0, slots=4, counters=Counters(started=started))
            told.board.heard("web", replace(worker, report=done))
            await asyncio.sleep(0.01)
    assert 4 <= len(source.read_at) <= 4 / BUSY_SECONDS + 1


async def test_a_worker_that_begins_a_job_changes_nothing_for_who_is_told_or_fails_or_is_not_to_be_asked() -> None:
    class Slow(Source):
        poll_seconds = 5.0

    for source in (Source(), Source(capabilities=SILENT, trouble=BrokerUnavailable("gone")), Slow()):
        async with sampling(source) as told:
            await asyncio.sleep(30.1)
            source.read_at.clear()
            if source.trouble:  # asked again after a while of random length: the next time is not now
                await until(partial(bool, source.read_at))
                source.read_at.clear()
            told.samplers.stir("web")
            told.samplers.stir("other")
            await asyncio.sleep(0.01)
            assert source.read_at == []


async def test_a_broker_that_does_not_notify_is_polled() -> None:
    source = Source(capabilities=SILENT)
    async with sampling(source):
        await asyncio.sleep(60)
        source.read_at.clear()
        await asyncio.sleep(10.01)
    assert len(source.read_at) == pytest.approx(10 / LONGEST_REST_SECONDS, abs=1)
    assert source.watched_at == []


async def test_where_the_broker_does_not_tell_what_is_in_flight_the_workers_do() -> None:
    source = Source(in_flight=None)
    async with sampling(source) as told:
        for uid, running in (("a", 2), ("b", 3)):
            told.board.pod_seen(pod(uid))
            report = Report(in_flight=running, slots=4)
            told.board.heard("web", WorkerState(pod=uid, uid=uid, version="v", source="stream", report=report))
        await asyncio.sleep(2 * BUSY_SECONDS)
        assert told.sample().in_flight == 5
        told.board.sampled("web", QueueSample(queue="beside", age_seconds=0.0, waiting=0, in_flight=4))
        await asyncio.sleep(2 * BUSY_SECONDS)
        assert told.sample().in_flight == 1, "the others are of a queue that tells its own"
