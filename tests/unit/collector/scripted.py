"""A broker that follows a script, and samplers that read it. Time is virtual (looptime)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from workerpool.broker import BrokerError, Capabilities, Depth
from workerpool_operator.collector.board import Board, PodInfo
from workerpool_operator.collector.cadence import BUSY_AFTER_SECONDS, BUSY_SECONDS
from workerpool_operator.collector.samplers import Samplers
from workerpool_operator.protocol import PoolConfig, QueueSample

POOLS = (PoolConfig(name="web", uid="1", queues=({"name": "main"},)),)
DEAR = (PoolConfig(name="web", uid="1", queues=({"name": "main", "rabbitmq": {"queue": "main"}},)),)
NOTIFIES = Capabilities(
    lease=True,
    extend=True,
    delay=True,
    deduplicate=True,
    oldest_age=True,
    in_flight=True,
    arrivals=True,
    notifies=True,
    priority=True,
    fair=True,
    ordering=True,
    tokens=True,
    tenant_limits=True,
    expiry=True,
    competing=True,
    shared=True,
)

SILENT = replace(NOTIFIES, notifies=False)


def now() -> float:
    return asyncio.get_running_loop().time()


@dataclass
class Source:
    """A broker: `waiting` jobs, and a watch that a job ends, or that does what `watching` does."""

    capabilities: Capabilities = NOTIFIES
    waiting: int = 0
    in_flight: int | None = 0
    delayed: int = 0
    blocked: int = 0
    trouble: BrokerError | None = None
    nonsense: Depth | None = None
    """What it answers instead."""
    watching: Callable[[float], Awaitable[bool]] | None = None
    came: asyncio.Event = field(default_factory=asyncio.Event)
    read_at: list[float] = field(default_factory=list)
    watched_at: list[float] = field(default_factory=list)
    closed: bool = False

    async def depth(self) -> Depth:
        self.read_at.append(now())
        self.came.clear()
        await asyncio.sleep(0)
        if self.trouble is not None:
            raise self.trouble
        if self.nonsense is not None:
            return self.nonsense
        return Depth(self.waiting, self.in_flight, self.delayed, 0.0, 0, 0, self.blocked)

    async def wait_for_arrival(self, seconds: float) -> bool:
        self.watched_at.append(now())
        if self.watching is not None:
            return await self.watching(seconds)
        try:
            async with asyncio.timeout(seconds):
                return await self.came.wait()
        except TimeoutError:
            return False

    async def close(self) -> None:
        self.closed = True

    def put(self, jobs: int) -> None:
        self.waiting += jobs
        self.came.set()


@dataclass
class Told:
    """What the samplers tell, as a board hears it."""

    board: Board
    samplers: Samplers
    polls: list[str]

    def sample(self) -> QueueSample:
        return self.board.pools["web"].samples["main"][0]


@asynccontextmanager
async def sampling(source: Source, *, pools: tuple[PoolConfig, ...] = POOLS) -> AsyncIterator[Told]:
    class Polls:
        def polled(self, pool: str, queue: str, *, seconds: float, error: str, lag: object) -> None:
            told.polls.append(error)

    def connect(pool: str, queue: dict[str, Any]) -> Source:
        return source

    def began(pool: str) -> None:
        told.samplers.stir(pool)

    board = Board(announce=lambda *_, **__: None, began=began, clock=now)
    board.configure(pools)
    told = Told(board, Samplers(board, connect=connect, observer=Polls()), [])
    told.samplers.apply(pools)
    try:
        yield told
    finally:
        await told.samplers.stop()
        assert source.closed


def pod(uid: str) -> PodInfo:
    return PodInfo(
        name=uid, uid=uid, pool="web", version="v", node="n", ip="", ready=True, was_ready=True, terminating=False
    )


async def at_rest(source: Source) -> None:
    """Let the queue come to rest and its first watch begin."""
    await asyncio.sleep(BUSY_AFTER_SECONDS + BUSY_SECONDS)
    assert source.watched_at
    await asyncio.sleep(0.05)
    source.read_at.clear()
    source.watched_at.clear()
