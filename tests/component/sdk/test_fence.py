"""The fence: once a worker has reported it back, it takes nothing more, whatever happens at that moment."""

import asyncio
import contextlib
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.component.sdk.running import environment, make_worker, serving
from tests.support.collector import FakeCollector
from tests.support.redis import RedisServer
from tests.support.waiting import until
from workerpool import Job, JobSpec, Queue, QueueFull
from workerpool.protocol import REPORT_MAX_SECONDS, Delivery, Settings
from workerpool_operator.domain.scaling.workers import REPORT_FRESH_SECONDS

pytestmark = [pytest.mark.component, pytest.mark.redis]

Given = Callable[[], Any]


@pytest.fixture
def given_out(redis_server: RedisServer, redis_stream: str) -> Given:
    """Id of the last entry that Redis gave to anyone: it moves with every take."""
    client = redis_server.client()
    return lambda: client.xinfo_groups(redis_stream)[0]["last-delivered-id"]


async def _feed(queue: Queue, stop: asyncio.Event, chance: random.Random) -> None:
    """Bursts and silences, so that takes are met blocking, reading and between two reads."""
    while not stop.is_set():
        specs = [JobSpec("work", chance.random() * 0.004) for _ in range(chance.randrange(1, 12))]
        with contextlib.suppress(QueueFull):
            await queue.enqueue_many(specs, max_depth=100, on_full="raise")
        await asyncio.sleep(chance.choice((0, 0, 0.001, 0.004, 0.02, 0.1)))


async def test_an_idle_worker_is_heard_often_enough_to_be_known_however_slow_its_heartbeat_is(
    redis_server: RedisServer, redis_stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else scale-in takes it for one of which nothing is known, and waits for a busy worker instead."""
    assert REPORT_MAX_SECONDS < REPORT_FRESH_SECONDS
    monkeypatch.setattr("workerpool.runtime.collector.REPORT_MAX_SECONDS", 0.1)
    async with FakeCollector() as collector:
        worker = make_worker(environment(redis_server, redis_stream, HEARTBEAT_INTERVAL="300"), collector)
        async with serving(worker):
            await until(lambda: len(collector.reports) >= 5, what="reports though nothing happens")


@pytest.mark.parametrize("slots", [1, 4, 50])
async def test_nothing_is_taken_after_the_fence_was_reported(
    queue: Queue, redis_server: RedisServer, redis_stream: str, given_out: Given, slots: int
) -> None:
    """Under load, many times: Redis itself is asked what it gave out, and the report names every job that it did."""
    chance = random.Random(slots)
    stop = asyncio.Event()
    client = redis_server.client()
    async with FakeCollector() as collector:
        worker = make_worker(environment(redis_server, redis_stream, MAX_WORKERS=str(slots)), collector)

        @worker.job("work")
        async def work(job: Job) -> None:
            await asyncio.sleep(job.payload)

        async with serving(worker):
            feeding = asyncio.create_task(_feed(queue, stop, chance))
            await collector.report_where(lambda report: report.counters.processed > 0)
            for number in range(80):
                await asyncio.sleep(chance.random() * 0.01)
                fence = f"fence-{number}"
                await collector.send(Settings(fence=fence))
                report = await collector.report_where(lambda report, fence=fence: report.fence == fence)
                last, pending = given_out(), client.xpending(redis_stream, redis_stream)["pending"]
                assert report.in_flight >= pending
                await collector.report_where(lambda report: report.in_flight == 0)
                await asyncio.sleep(chance.choice((0, 0.01, 0.15)))
                assert given_out() == last, f"a job was taken behind {fence}"
                await collector.send(Settings(fence=""))
                await collector.report_where(lambda report: report.fence == "")
            stop.set()
            await feeding
            await until(lambda: _is_empty(queue), what="the rest done")


async def test_a_fence_acts_on_a_worker_that_waits_on_an_idle_queue(
    queue: Queue, redis_server: RedisServer, redis_stream: str, given_out: Given, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its blocking read is ended, so the fence is reported at once, and what is put then stays in the queue."""
    for reads in ("runtime.intake.TAKE_SECONDS", "broker._redis.blocking._SECONDS"):
        monkeypatch.setattr(f"workerpool.{reads}", 100.0)  # longer than a report is waited for
    async with FakeCollector() as collector:
        worker = make_worker(environment(redis_server, redis_stream, LEASE_SECONDS="400"), collector)
        done: list[Any] = []

        @worker.job("work")
        async def work(job: Job) -> None:
            done.append(job.payload)

        async with serving(worker):
            await queue.enqueue("work", 1)
            await until(lambda: done == [1], what="the worker at work")
            await collector.report_where(lambda report: report.in_flight == 0)
            await collector.send(Settings(fence="f"))
            await collector.report_where(lambda report: report.fence == "f")
            last = given_out()
            await queue.enqueue("work", 2)
            await asyncio.sleep(0.1)
            assert given_out() == last
            assert (await queue.depth()).waiting == 1
            await collector.send(Settings(fence=""))
            await until(lambda: done == [1, 2], what="the job taken after the fence was lifted")


async def test_a_fence_that_replaces_another_is_reported_without_a_gap(
    redis_server: RedisServer, redis_stream: str
) -> None:
    async with FakeCollector() as collector:
        worker = make_worker(environment(redis_server, redis_stream), collector)
        async with serving(worker):
            await collector.report_where(lambda report: True)
            await collector.send(Settings(fence="a"))
            await collector.report_where(lambda report: report.fence == "a")
            seen = len(collector.reports)
            await collector.send(Settings(fence="b"))
            await collector.report_where(lambda report: report.fence == "b")
            assert {report.fence for report in collector.reports[seen:]} <= {"a", "b"}


async def test_a_fence_lapses_without_news(queue: Queue, redis_server: RedisServer, redis_stream: str) -> None:
    """Also when the collector is gone: a fence that nobody renews must not stop a worker for ever."""
    done: list[Any] = []
    async with FakeCollector() as collector:
        worker = make_worker(environment(redis_server, redis_stream), collector)

        @worker.job("work")
        async def work(job: Job) -> None:
            done.append(job.payload)

        async with serving(worker):
            await collector.report_where(lambda report: True)
            await collector.send(Settings(fence="f", ttl_seconds=8.0))  # not before it is asserted
            await collector.report_where(lambda report: report.fence == "f")
            collector.refuse = True
            await collector.drop_all()
            await queue.enqueue("work", 1)
            assert done == []
            await until(lambda: done == [1], what="the job taken after the fence lapsed")
            collector.refuse = False
            await collector.report_where(lambda report: report.fence == "" and report.counters.processed == 1)


async def test_a_fence_holds_while_the_stream_is_down(
    queue: Queue, redis_server: RedisServer, redis_stream: str, given_out: Given
) -> None:
    await queue.enqueue("work", 0)
    async with FakeCollector() as collector:
        worker = make_worker(environment(redis_server, redis_stream), collector)

        @worker.job("work")
        async def work(job: Job) -> None:
            pass

        async with serving(worker):
            await collector.report_where(lambda report: report.counters.processed == 1)
            await collector.send(Settings(fence="f"))
            await collector.report_where(lambda report: report.fence == "f")
            last = given_out()
            seen = len(collector.reports)
            await collector.drop_all()
            await queue.enqueue("work", 0)
            await until(lambda: len(collector.hellos) == 2, what="the stream again")
            await until(lambda: len(collector.reports) > seen, what="a report on the new stream")
            assert collector.reports[seen].fence == "f"
            assert given_out() == last


async def test_live_settings_change_the_retry_policy_and_lapse(
    queue: Queue, redis_server: RedisServer, redis_stream: str
) -> None:
    """One attempt while the settings hold; the environment's many when they have lapsed."""
    attempts: dict[str, int] = {}
    async with FakeCollector() as collector:
        env = environment(redis_server, redis_stream, BACKOFF_SECONDS="0.01", MAX_ATTEMPTS="4")
        worker = make_worker(env, collector)

        @worker.job("fails")
        async def fails(job: Job) -> None:
            attempts[job.id] = job.attempt
            raise ValueError("no")

        async with serving(worker):
            await collector.report_where(lambda report: True)
            leases, client = f"{{{redis_stream}}}:leases:{redis_stream}", redis_server.client()
            policy = Delivery(max_attempts=1, backoff_seconds=1, backoff_max_seconds=1, lease_seconds=30)
            await collector.send(Settings(delivery=policy, ttl_seconds=10))
            await queue.enqueue("fails", job_id="live")
            await until(lambda: _dead(queue, 1), what="dead-lettered after one attempt")
            assert attempts == {"live": 1}
            await until(lambda: b"30000" in client.hkeys(leases), what="the live lease announced")

            client.delete(leases)  # from now on the environment's is announced when the settings have lapsed
            await until(lambda: b"60000" in client.hkeys(leases), what="the environment's lease again")
            await queue.enqueue("fails", job_id="later")
            await until(lambda: _dead(queue, 2), what="dead-lettered after four attempts")
            assert attempts["later"] == 4


async def test_messages_that_nobody_understands_change_nothing(redis_server: RedisServer, redis_stream: str) -> None:
    async with FakeCollector() as collector:
        worker = make_worker(environment(redis_server, redis_stream), collector)
        async with serving(worker):
            await collector.report_where(lambda report: True)
            for text in ("hello", "{}", '{"type": "settings", "ttl_seconds": -1}', '{"type": "from the future"}', "[]"):
                await collector.send_text(text)
            await collector.send(Settings(fence="f"))
            await collector.report_where(lambda report: report.fence == "f")
            assert len(collector.hellos) == 1


async def test_the_token_is_read_anew_for_each_connection(
    redis_server: RedisServer, redis_stream: str, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("one\n")
    async with FakeCollector() as collector:
        worker = make_worker(environment(redis_server, redis_stream, token=token), collector)
        async with serving(worker):
            await collector.report_where(lambda report: True)
            token.write_text("two\n")
            await collector.drop_all()
            await until(lambda: len(collector.hellos) == 2, what="the stream again")
            assert collector.tokens == ["one", "two"]
            assert len({hello.boot_id for hello in collector.hellos}) == 1


async def test_reports_are_not_sent_more_often_than_agreed(
    queue: Queue, redis_server: RedisServer, redis_stream: str
) -> None:
    async with FakeCollector() as collector:
        worker = make_worker(environment(redis_server, redis_stream), collector)

        @worker.job("work")
        async def work(job: Job) -> None:
            pass

        async with serving(worker):
            await collector.report_where(lambda report: True)
            before, began = len(collector.reports), asyncio.get_running_loop().time()
            await queue.enqueue_many([JobSpec("work")] * 2000)
            await collector.report_where(
                lambda report: report.counters.processed == 2000 and report.in_flight == 0, seconds=60
            )
            took = asyncio.get_running_loop().time() - began
            assert len(collector.reports) - before <= took / 0.05 + 2


async def test_a_draining_worker_says_so_and_takes_nothing(
    queue: Queue, redis_server: RedisServer, redis_stream: str, given_out: Given
) -> None:
    release = asyncio.Event()
    async with FakeCollector() as collector:
        worker = make_worker(environment(redis_server, redis_stream, DRAIN_TIMEOUT="60"), collector)

        @worker.job("work")
        async def work(job: Job) -> None:
            await release.wait()

        async with serving(worker) as served:
            await queue.enqueue("work")
            await collector.report_where(lambda report: report.in_flight == 1)
            worker.stop()
            await collector.report_where(lambda report: report.draining and report.in_flight == 1)
            last = given_out()
            await queue.enqueue("work")
            release.set()
            await served
            assert given_out() == last
    assert (await queue.depth()).waiting == 1


async def test_last_words_name_what_was_interrupted(queue: Queue, redis_server: RedisServer, redis_stream: str) -> None:
    async with FakeCollector() as collector:
        worker = make_worker(environment(redis_server, redis_stream, DRAIN_TIMEOUT="0"), collector)

        @worker.job("long", timeout=100)
        async def long(job: Job) -> None:
            await asyncio.sleep(50)

        async with serving(worker):
            await queue.enqueue_many([JobSpec("long")] * 3)
            report = await collector.report_where(lambda report: report.in_flight == 3)
            assert report.remaining_seconds is not None
            assert 90 < report.remaining_seconds <= 100
        await until(lambda: collector.last_words, what="last words")
        [words] = collector.last_words
        assert (words.interrupted, words.counters.handed_back, words.counters.started) == (3, 3, 3)
    assert (await queue.depth()).waiting == 3


async def _is_empty(queue: Queue) -> bool:
    depth = await queue.depth()
    return depth.unfinished == 0


async def _dead(queue: Queue, count: int) -> bool:
    return (await queue.depth()).dead_letters == count
