"""What a sampler does between two readings, with a broker that follows a script. Time is virtual (looptime)."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.unit.collector.scripted import POOLS, Source, at_rest, now, sampling
from workerpool.broker import AuthenticationFailed, BrokerError, BrokerUnavailable, Depth
from workerpool_operator.collector.board import Board
from workerpool_operator.collector.cadence import (
    BACKOFF_MAX_SECONDS,
    BURST_SECONDS,
    BUSY_AFTER_SECONDS,
    BUSY_SECONDS,
    LONGEST_REST_SECONDS,
    LONGEST_WATCH_SECONDS,
    WATCH_SECONDS,
)
from workerpool_operator.collector.samplers import (
    SETTLE_SECONDS,
    TIMEOUT_SECONDS,
    WATCH_AGAIN_SECONDS,
    WATCH_LATE_SECONDS,
    Samplers,
)
from workerpool_operator.protocol import PoolConfig, SampleError

pytestmark = pytest.mark.looptime


async def test_a_queue_that_moves_is_read_and_not_watched() -> None:
    source = Source(waiting=3)
    async with sampling(source):
        for _ in range(10):
            await asyncio.sleep(1.0)
            source.waiting += 1
    assert len(source.read_at) == pytest.approx(10 / BUSY_SECONDS, abs=2)
    assert source.watched_at == []


async def test_a_queue_at_rest_costs_one_reading_and_one_watch_every_ten_seconds() -> None:
    source = Source()
    async with sampling(source):
        await asyncio.sleep(12 * LONGEST_WATCH_SECONDS + 5)
        source.read_at.clear()
        source.watched_at.clear()
        await asyncio.sleep(20 * LONGEST_WATCH_SECONDS)
    assert len(source.read_at) == len(source.watched_at) == pytest.approx(20, abs=1)


@pytest.mark.parametrize("source", [Source(delayed=1), Source(waiting=3), Source(in_flight=3)])
async def test_a_queue_whose_figures_may_change_unseen_costs_one_reading_and_one_watch_a_second(
    source: Source,
) -> None:
    async with sampling(source):
        await asyncio.sleep(12 * LONGEST_WATCH_SECONDS)
        source.read_at.clear()
        source.watched_at.clear()
        await asyncio.sleep(20 * WATCH_SECONDS)
    assert len(source.read_at) == len(source.watched_at) == pytest.approx(20, abs=1)


async def test_jobs_that_wait_for_their_ordering_key_make_no_pool_grow() -> None:
    source = Source(waiting=5, blocked=4)
    async with sampling(source) as told:
        await asyncio.sleep(1.0)
        assert (told.sample().waiting, told.sample().blocked) == (1, 4)


async def test_a_job_that_comes_to_a_queue_at_rest_is_read_as_soon_as_the_burst_has_settled() -> None:
    source = Source()
    async with sampling(source) as told:
        await at_rest(source)
        came = now()
        source.put(1)
        await asyncio.sleep(SETTLE_SECONDS / 2)
        source.put(59)
        await asyncio.sleep(SETTLE_SECONDS)
        assert source.read_at == [pytest.approx(came + SETTLE_SECONDS)]
        assert told.sample().waiting == 60
        await asyncio.sleep(BURST_SECONDS)
        assert len(source.read_at) == 2


async def test_jobs_that_come_and_go_fast_are_read_no_more_often_than_a_busy_queue() -> None:
    source = Source()
    async with sampling(source):
        await at_rest(source)
        for _ in range(200):  # workers take each at once: no reading ever sees one
            source.came.set()
            await asyncio.sleep(0.01)
    assert 2 <= len(source.read_at) <= 2 / BUSY_SECONDS + 1


async def test_an_arrival_during_the_reading_ends_the_next_watch_at_once() -> None:
    source = Source()
    async with sampling(source):
        await at_rest(source)
        real = source.depth

        async def slow() -> Depth:
            seen = await real()
            source.put(1)
            return seen

        source.depth = slow  # type: ignore[method-assign]
        source.came.set()
        await asyncio.sleep(BUSY_SECONDS + 2 * SETTLE_SECONDS + 0.01)
    assert len(source.read_at) == 2


async def test_a_reading_that_is_asked_for_ends_the_watch() -> None:
    source = Source()
    async with sampling(source) as told:
        await at_rest(source)
        told.samplers.read_now("other")
        await asyncio.sleep(0.01)
        assert source.read_at == []
        asked = now()
        told.samplers.read_now("web")
        told.samplers.read_now("web")
        await asyncio.sleep(0.01)
        assert source.read_at == [pytest.approx(asked)]
        assert len(source.watched_at) == 1, "and the next watch has begun"


async def test_a_reading_that_is_asked_for_during_one_follows_it_at_once() -> None:
    """The one in progress may have counted before."""
    source = Source()
    async with sampling(source) as told:
        await at_rest(source)
        told.samplers.read_now("web")
        for _ in range(20):
            if not source.read_at:
                await asyncio.sleep(0)
        assert len(source.read_at) == 1, "the reading has begun"
        told.samplers.read_now("web")
        await asyncio.sleep(0.01)
        assert len(source.read_at) == 2


async def test_a_reading_that_is_asked_for_ends_the_pause_of_a_broker_that_fails() -> None:
    source = Source(trouble=BrokerUnavailable("gone"))
    async with sampling(source) as told:
        await asyncio.sleep(30)
        readings = len(source.read_at)
        told.samplers.read_now("web")
        await asyncio.sleep(0.01)
        assert len(source.read_at) == readings + 1


async def refuse(_: float) -> bool:
    raise AuthenticationFailed("NOPERM xread")


async def hang(_: float) -> bool:
    await asyncio.Event().wait()
    return False


async def end_too_soon(_: float) -> bool:
    return False


async def break_the_code(_: float) -> bool:
    raise TypeError("no such thing")


@pytest.mark.parametrize("watching", [refuse, hang, end_too_soon, break_the_code])
async def test_where_watching_fails_the_queue_is_polled_for_a_while_and_one_line_says_so(
    watching: Callable[[float], Awaitable[bool]],
) -> None:
    source = Source(watching=watching)
    with capture_logs() as logs:
        async with sampling(source) as told:
            await asyncio.sleep(BUSY_AFTER_SECONDS + WATCH_SECONDS + WATCH_LATE_SECONDS + 1)
            source.read_at.clear()
            await asyncio.sleep(WATCH_AGAIN_SECONDS / 2)
            # At first they are half a second apart.
            assert len(source.read_at) == pytest.approx(WATCH_AGAIN_SECONDS / 2 / LONGEST_REST_SECONDS, abs=6)
            assert len(source.watched_at) == 1
            await asyncio.sleep(5 * WATCH_AGAIN_SECONDS)
            assert len(source.watched_at) in (5, 6), "it is tried again now and then"
            assert told.sample().error is None
            assert set(told.polls) == {""}
    assert [line["event"] for line in logs] == ["queue_is_polled"]


async def test_a_watch_that_works_again_is_kept_and_its_next_failure_is_news() -> None:
    source = Source(watching=refuse)
    with capture_logs() as logs:
        async with sampling(source):
            await asyncio.sleep(BUSY_AFTER_SECONDS + 1)
            source.watching = None
            await asyncio.sleep(WATCH_AGAIN_SECONDS + 1)
            source.watched_at.clear()
            await asyncio.sleep(10 * LONGEST_WATCH_SECONDS)
            assert len(source.watched_at) == pytest.approx(10, abs=4)
            source.watching = refuse
            await asyncio.sleep(2 * LONGEST_WATCH_SECONDS)
    assert len(logs) == 2


async def test_a_broker_that_goes_away_during_a_watch_is_told_at_once() -> None:
    source = Source()
    async with sampling(source) as told:
        await at_rest(source)
        source.trouble = BrokerUnavailable("gone")

        async def lose(_: float) -> bool:
            raise BrokerUnavailable("connection lost")

        source.watching = lose
        await asyncio.sleep(WATCH_SECONDS)
        assert told.sample().error is SampleError.UNREACHABLE
        source.trouble, source.watching = None, None
        await asyncio.sleep(BUSY_AFTER_SECONDS)
        assert told.sample().error is None


# Without those that a broker keeps to itself.
@pytest.mark.parametrize(
    "kind", [kind for kind in BrokerError.__subclasses__() if kind.__module__ == BrokerError.__module__]
)
async def test_each_error_of_a_broker_has_a_word_of_its_own(kind: type[BrokerError]) -> None:
    """Named like it, so that the same is said in a worker's log and in the resource's status."""
    source = Source()
    source.trouble = kind("why")
    async with sampling(source) as told:
        await asyncio.sleep(1)
        expected = SampleError.UNREACHABLE if kind is BrokerUnavailable else SampleError(kind.__name__)
        assert (told.sample().error, told.sample().message) == (expected, "why")


async def test_a_broker_that_does_not_answer_is_read_over_another_connection_the_next_time() -> None:
    source = Source(waiting=3)
    async with sampling(source) as told:
        await asyncio.sleep(1)
        real = source.depth

        async def silent_until_closed() -> Depth:
            if not source.closed:
                await asyncio.Event().wait()
            return await real()

        source.depth = silent_until_closed  # type: ignore[method-assign]
        await asyncio.sleep(BUSY_SECONDS + TIMEOUT_SECONDS)
        assert told.sample().error is SampleError.UNREACHABLE
        await asyncio.sleep(1)
        assert told.sample().waiting == 3


@pytest.mark.parametrize(
    "figures",
    [
        {"waiting": -1},
        {"waiting": 10**400},
        {"waiting": 2, "blocked": 3},
        {"in_flight": -2},
        {"in_flight": 2**63},
        {"arrivals_total": -5},
        {"arrivals_total": 2**64},
        {"oldest_age_seconds": float("nan")},
        {"partitions": 0},
        {"waiting": None},
    ],
    ids=str,
)
async def test_figures_that_no_queue_can_have_are_told_and_the_queue_is_read_on(figures: dict[str, Any]) -> None:
    """Unknown, with the reason; and as soon as the broker makes sense again so does the pool."""
    source = Source(waiting=3)
    source.nonsense = replace(Depth(0, 0, 0, 0.0, 0, 0), **figures)
    async with sampling(source) as told:
        await asyncio.sleep(1)
        found = told.sample()
        assert (found.error, found.waiting, bool(found.message)) == (SampleError.BAD_ANSWER, None, True)
        source.nonsense = None
        await asyncio.sleep(BACKOFF_MAX_SECONDS)
        assert (told.sample().error, told.sample().waiting) == (None, 3)


async def test_a_pool_that_is_changed_or_removed_ends_its_watch_and_closes_the_broker() -> None:
    source, next_source = Source(), Source()
    sources = [next_source, source]
    board = Board(announce=lambda *_, **__: None, clock=now)

    class Polls:
        def polled(self, pool: str, queue: str, *, seconds: float, error: str, lag: object) -> None:
            """Nobody counts."""

    samplers = Samplers(board, connect=lambda *_: sources.pop(), observer=Polls())
    board.configure(POOLS)
    samplers.apply(POOLS)
    await at_rest(source)
    changed = (PoolConfig(name="web", uid="1", queues=({"name": "main", "redisStream": {"stream": "new"}},)),)
    board.configure(changed)
    samplers.apply(changed)
    await asyncio.sleep(0.01)
    assert source.closed
    await at_rest(next_source)
    samplers.apply(())
    await asyncio.sleep(0.01)
    assert next_source.closed
    await samplers.stop()
