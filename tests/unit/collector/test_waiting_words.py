"""When what a worker says goes up: what the operator acts upon at once, the rest together with others' words."""

import asyncio
from dataclasses import replace
from typing import Any, Self

import pytest
from pydantic import BaseModel

from workerpool.protocol import Counters, Report
from workerpool_operator.collector.board import (
    SAME_WAITS_SECONDS,
    WORK_WAITS_SECONDS,
    Board,
    PodInfo,
    WorkerState,
)
from workerpool_operator.collector.config import CollectorConfig
from workerpool_operator.collector.uplink import Uplink
from workerpool_operator.protocol import PoolConfig, Samples
from workerpool_operator.protocol.outbox import Outbox

IDLE = Report(in_flight=0, slots=4)
SAID = WorkerState(pod="p", uid="u-0", version="v", source="stream", connected=True, report=IDLE)


class Room:
    """A pool's board, its clock, and how long each change may wait."""

    def __init__(self, *, workers: int = 1) -> None:
        self.now = 100.0
        self.waits: list[float] = []
        self.board = Board(announce=self._announce, clock=lambda: self.now)
        self.board.configure((PoolConfig(name="web", uid="1", queues=({"name": "main"},)),))
        for number in range(workers):
            uid = f"u-{number}"
            self.board.pod_seen(pod(uid))
            self.board.heard("web", replace(SAID, uid=uid))

    def _announce(self, what: str, pool: str, *, within: float = 0.0, news: bool = True) -> None:
        self.waits.append(within)

    def wait_of(self, said: WorkerState) -> float:
        """For how long this word may wait."""
        self.board.heard("web", said)
        return self.waits[-1]


def pod(uid: str) -> PodInfo:
    return PodInfo(
        name="p", uid=uid, pool="web", version="v", node="n", ip="", ready=True, was_ready=True, terminating=False
    )


def saying(**changes: Any) -> WorkerState:
    return replace(SAID, report=IDLE.model_copy(update=changes))


def test_a_worker_that_is_new_is_told_of_at_once() -> None:
    """As is its pod."""
    assert Room().waits[-2:] == [0.0, 0.0]


@pytest.mark.parametrize(
    "said",
    [
        replace(SAID, connected=False),
        replace(SAID, boot_id="another"),
        replace(SAID, report=None),
        saying(fence="f"),
        saying(draining=True),
        saying(paused="breaker"),
        saying(slots=2),
        saying(troubles={"main": "gone"}),
    ],
)
def test_what_is_acted_upon_waits_for_nothing(said: WorkerState) -> None:
    """A stream that is lost, a fence that took hold, a drain, a pause."""
    assert Room(workers=300).wait_of(said) == 0.0


def test_what_is_repeated_waits_for_others() -> None:
    """Counters and ages are read every few seconds; their message names all workers of the pool."""
    assert Room().wait_of(saying(counters=Counters(started=7))) == SAME_WAITS_SECONDS


def test_more_or_fewer_jobs_wait_a_moment_for_each_worker_of_the_pool() -> None:
    """So that a large pool of short jobs costs by its workers, and not by their square."""
    assert Room().wait_of(saying(in_flight=1)) == pytest.approx(0.002)
    assert Room(workers=50).wait_of(saying(remaining_seconds=None)) == pytest.approx(0.1)
    assert Room(workers=500).wait_of(saying(in_flight=1)) == WORK_WAITS_SECONDS


def test_while_a_pool_is_fenced_each_word_goes_up_at_once() -> None:
    """The operator waits for the workers' word; and no longer than the fence holds."""
    room = Room(workers=50)
    room.board.order_fence("web", "f", frozenset({"u-1"}), ttl=30)
    assert room.wait_of(saying(in_flight=1)) == 0.0
    assert room.wait_of(saying(in_flight=1)) == 0.0
    room.now += 31
    assert room.wait_of(saying(in_flight=1)) == SAME_WAITS_SECONDS


class Sent:
    """An uplink with one connection, and what has gone up on it."""

    def __init__(self) -> None:
        self.pools: asyncio.Queue[str] = asyncio.Queue()
        config = CollectorConfig.from_environment(
            {
                "POD_NAMESPACE": "ns",
                "POD_NAME": "c",
                "OPERATOR_STREAM": "127.0.0.1:1",
                "API_SERVER": "http://127.0.0.1:1",
            }
        )
        self.uplink = Uplink(config, compose=self._compose, everything=list, hold=float, obey=lambda _: None)
        self.uplink._links["1.2.3.4"] = self.outbox = Outbox()

    def _compose(self, _: str, pool: str) -> BaseModel:
        self.pools.put_nowait(pool)
        return Samples(pool=pool, samples=())

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self.uplink._gather())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def next(self) -> str:
        """The pool that goes up next."""
        async with asyncio.timeout(60):
            return await self.pools.get()


async def test_what_may_wait_is_overtaken_and_goes_up_in_its_time() -> None:
    """A change that comes later and waits for nothing is told first."""
    async with Sent() as sent:
        sent.uplink.announce("workers", "slow", within=0.3)
        await asyncio.sleep(0)
        sent.uplink.announce("workers", "quick")
        assert [await sent.next(), await sent.next()] == ["quick", "slow"]


async def test_the_soonest_time_of_a_subject_counts_and_it_goes_up_once() -> None:
    """An hour's wait is over when the same subject is urgent."""
    async with Sent() as sent:
        for within in (3600.0, 0.0, 3600.0):
            sent.uplink.announce("workers", "web", within=within)
        assert await sent.next() == "web"
        sent.uplink.announce("workers", "last")
        assert await sent.next() == "last"
        assert sent.pools.empty()
