"""No news, over the real streams: it costs one small message, and whoever is silent or cut off is soon known to be."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import pytest

from tests.component.streams.ends import NAMESPACE, Ends, FakeWorker, both_ends
from tests.support.redis import RedisServer
from tests.support.waiting import until
from workerpool_operator.collector import board, cadence, holding, workers
from workerpool_operator.protocol import (
    HOLDS_PROTOCOL,
    Holds,
    PoolConfig,
    QueueSample,
    Role,
    Unheld,
    Up,
    WorkerReport,
    Workers,
)
from workerpool_operator.serve.state import Link, Peer, StreamState

pytestmark = [pytest.mark.component, pytest.mark.redis]

LATE: Final = 2.5
"""Seconds after which a worker of these tests is late; it speaks every 0.3 s, if it does."""
BEAT: Final = 0.1


@pytest.fixture
async def ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Ends]:
    """Ten times as quick as real ones."""
    monkeypatch.setattr(holding, "LATE_SECONDS", LATE)
    monkeypatch.setattr(workers, "PING_SECONDS", 600.0)  # to which workers that are played here say nothing
    monkeypatch.setattr("workerpool_operator.collector.uplink.BEAT_SECONDS", BEAT)
    monkeypatch.setattr(cadence, "BUSY_AFTER_SECONDS", 0.1)
    monkeypatch.setattr(cadence, "LONGEST_WATCH_SECONDS", 0.5)
    monkeypatch.setattr(cadence, "LONGEST_REST_SECONDS", 0.5)
    async with both_ends(tmp_path) as made:
        yield made


class Listening(StreamState):
    """An operator's state that writes down what came."""

    def __init__(self) -> None:
        super().__init__(on_change=lambda *_: None)
        self.came: list[Up] = []

    def receive(self, peer: Peer, message: Up) -> None:
        self.came.append(message)
        super().receive(peer, message)

    def count(self, *kinds: type[Up]) -> int:
        return sum(isinstance(one, kinds) for one in self.came)


class OfThePast(Listening):
    """One that says that it speaks the protocol before."""

    def attach(self, peer: Peer, link: Link) -> None:
        super().attach(peer, link)
        link.send("role", Role(leader=True, epoch=1, protocol=HOLDS_PROTOCOL - 1))


def pool(server: RedisServer, stream: str, *, name: str = "web") -> PoolConfig:
    redis = {"url": server.url, "stream": stream, "group": stream}
    return PoolConfig(name=name, uid=name, queues=({"name": "main", "redisStream": redis},))


async def listen(ends: Ends, *pools: PoolConfig, state: Listening | None = None) -> Listening:
    """Another operator, which writes down, in the place of the one that is there."""
    await ends.stop_operator()
    state = state or Listening()
    await ends.start_operator(state)
    ends.lead(*pools)
    return state


@asynccontextmanager
async def speaking(ends: Ends, pod: str, said: Callable[[], int] = lambda: 0) -> AsyncIterator[asyncio.Task[None]]:
    """A worker that says the same again and again, until its task is cancelled; then it is silent, but connected."""
    ends.api.add_pod(pod)
    async with ends.worker(pod, ends.api.token(pod)) as worker:
        await worker.hello()
        task = asyncio.create_task(_speak(worker, said))
        try:
            yield task
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def _speak(worker: FakeWorker, said: Callable[[], int]) -> None:
    while True:
        await worker.report(said())
        await asyncio.sleep(0.3)


def report(state: StreamState, pod: str) -> WorkerReport | None:
    return next((one for one in state.view(NAMESPACE, "web").workers if one.pod == pod), None)


def known(state: StreamState, *pods: str) -> Callable[[], bool]:
    return lambda: all(report(state, pod) is not None for pod in pods)


def sample(state: StreamState) -> QueueSample | None:
    return next(iter(state.view(NAMESPACE, "web").samples), None)


def at_rest(state: StreamState) -> bool:
    return (found := sample(state)) is not None and found.held


async def beats(state: Listening, number: int) -> None:
    """Wait until so many more have come."""
    wanted = state.count(Holds) + number
    await until(lambda: state.count(Holds) >= wanted, what="another beat")


async def test_a_pool_at_rest_costs_one_small_message_for_each_beat(
    ends: Ends, redis_server: RedisServer, redis_stream: str
) -> None:
    """However often its workers say the same, and however often its queue is read; all of it stays fresh."""
    state = await listen(ends, pool(redis_server, redis_stream))
    async with speaking(ends, "p1"), speaking(ends, "p2"):
        await until(known(state, "p1", "p2"), what="both workers")
        await until(lambda: at_rest(state), what="a queue at rest")

        def quiet_and_fresh() -> bool:
            """For 4 s, with 26 reports and 8 readings, nothing came but that all of it holds."""
            lately, found = state.came[-40:], sample(state)
            ages = [one.age_seconds for one in state.view(NAMESPACE, "web").workers]
            quiet = len(lately) == 40 and all(isinstance(one, Holds) for one in lately)
            return quiet and found is not None and max(*ages, found.age_seconds) < LATE + BEAT

        await until(quiet_and_fresh, what="a while without news")


async def test_what_changes_is_told_at_once_and_by_itself(
    ends: Ends, redis_server: RedisServer, redis_stream: str
) -> None:
    """A job that a worker has taken."""
    jobs = 0
    state = await listen(ends, pool(redis_server, redis_stream))
    async with speaking(ends, "p1", lambda: jobs):
        await until(known(state, "p1"), what="the worker")
        await beats(state, 5)
        jobs = 1
        await until(lambda: (one := report(state, "p1")) is not None and one.in_flight == 1, what="its job")


async def test_a_worker_that_falls_silent_grows_old_alone(
    ends: Ends, redis_server: RedisServer, redis_stream: str
) -> None:
    """Its stream is up, and the other worker of its pool speaks on."""
    state = await listen(ends, pool(redis_server, redis_stream))
    async with speaking(ends, "p1") as silent, speaking(ends, "p2"):
        await until(known(state, "p1", "p2"), what="both workers")
        silent.cancel()

        def old_alone() -> bool:
            one, other = report(state, "p1"), report(state, "p2")
            assert one is not None
            assert other is not None
            old = not one.held and one.age_seconds > 2 * LATE
            return old and other.held and other.age_seconds < LATE + BEAT

        await until(old_alone, what="the age of one, and the other as fresh as ever")


async def test_a_worker_that_is_heard_again_is_fresh_again(
    ends: Ends, redis_server: RedisServer, redis_stream: str
) -> None:
    """By its first word, though it says nothing new."""
    ends.api.add_pod("p1")
    state, loop, spoke = await listen(ends, pool(redis_server, redis_stream)), asyncio.get_running_loop(), 0.0
    async with ends.worker("p1", ends.api.token("p1")) as worker:

        async def speak() -> None:
            nonlocal spoke
            await worker.report(0)
            spoke = loop.time()

        async def is_fresh() -> bool:
            if loop.time() - spoke > LATE:  # late once more: this machine has stood still
                await speak()
            return (one := report(state, "p1")) is not None and one.held and one.age_seconds < LATE

        await worker.hello()
        await speak()
        await until(lambda: (one := report(state, "p1")) is not None and not one.held, what="that it is late")
        await speak()
        await until(is_fresh, what="that it is heard")


async def test_a_collector_that_is_cut_off_makes_all_of_it_old_and_tells_it_anew(
    ends: Ends, redis_server: RedisServer, redis_stream: str
) -> None:
    """Nothing is believed on the word of a connection that is gone."""
    state = await listen(ends, pool(redis_server, redis_stream))
    async with speaking(ends, "p1"):
        await until(known(state, "p1"), what="the worker")
        await until(lambda: at_rest(state), what="a queue at rest")
        await ends.stop_operator()
        await until(
            lambda: (one := report(state, "p1")) is not None and one.age_seconds > LATE + 2, what="the worker's age"
        )
        old = sample(state)
        assert old is not None
        assert old.age_seconds > 2.0
        await ends.start_operator()
        await until(
            lambda: (one := report(state, "p1")) is not None and one.age_seconds < LATE, what="the worker, told anew"
        )
        await until(lambda: (one := sample(state)) is not None and one.age_seconds < LATE, what="the queue, told anew")


async def test_another_leader_has_all_of_it_anew(ends: Ends, redis_server: RedisServer, redis_stream: str) -> None:
    """Also what has not changed for long."""
    await listen(ends, pool(redis_server, redis_stream))
    async with speaking(ends, "p1"):
        await until(lambda: at_rest(ends.state), what="a queue at rest")
        await until(known(ends.state, "p1"), what="the worker")
        later = await listen(ends, pool(redis_server, redis_stream))
        await until(known(later, "p1"), what="the worker at the new leader")
        await until(lambda: at_rest(later), what="its queue")
        await beats(later, int(2 * LATE / BEAT))
        await until(
            lambda: (one := report(later, "p1")) is not None and one.age_seconds < LATE + BEAT,
            what="its freshness, long after it was told",
        )


async def test_an_operator_of_the_protocol_before_has_it_repeated(
    ends: Ends, redis_server: RedisServer, redis_stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While an upgrade or a rollback is under way: it would take what is not repeated for silence."""
    monkeypatch.setattr(board, "SAME_WAITS_SECONDS", 0.2)
    state = await listen(ends, pool(redis_server, redis_stream), state=OfThePast())
    async with speaking(ends, "p1"):
        await until(known(state, "p1"), what="the worker")
        state.came.clear()
        await until(lambda: state.count(Workers) >= 5, what="its words, again and again")
        assert state.count(Holds) == 0


async def test_a_pool_that_is_gone_is_not_vouched_for(ends: Ends, redis_server: RedisServer, redis_stream: str) -> None:
    """A standby hears of that from nobody else."""
    state = await listen(ends, pool(redis_server, redis_stream), pool(redis_server, redis_stream, name="other"))
    async with speaking(ends, "p1"):
        await until(lambda: at_rest(state), what="a queue at rest")
        before = state.count(Unheld)
        ends.lead(pool(redis_server, redis_stream, name="other"))
        await until(lambda: state.count(Unheld) > before, what="that it is held no more")
        await until(lambda: (one := sample(state)) is not None and one.age_seconds > 2.0, what="its age")


async def test_a_pool_that_the_operator_has_forgotten_is_told_anew_when_it_asks(
    ends: Ends, redis_server: RedisServer, redis_stream: str
) -> None:
    """Though to its collector nothing has changed."""
    state = await listen(ends, pool(redis_server, redis_stream))
    async with speaking(ends, "p1"):
        await until(known(state, "p1"), what="the worker")
        await until(lambda: at_rest(state), what="a queue at rest")
        state.forget(NAMESPACE, "web")
        await beats(state, 3)
        assert sample(state) is None
        state.ask()
        await until(known(state, "p1"), what="the worker, told anew")
        await until(lambda: at_rest(state), what="its queue, told anew")
