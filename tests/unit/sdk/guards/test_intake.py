"""An intake under a rate limit, on a broker that lives by virtual time (looptime)."""

import asyncio
import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
import structlog

from workerpool.broker import Broker, BrokerUnavailable, Taken, Tokens
from workerpool.broker._bucket import Level, burst, draw
from workerpool.guards.rate import RateLimiter
from workerpool.runtime.comeback import Comeback
from workerpool.runtime.evidence import Evidence
from workerpool.runtime.gate import Gate
from workerpool.runtime.intake import Intake
from workerpool.runtime.slots import Slots
from workerpool.telemetry.metrics import Metrics

pytestmark = pytest.mark.looptime

RATE = 10.0


@dataclass
class Queue:
    """A broker in which jobs always wait, unless it is empty."""

    connected = True
    lease_seconds = 60.0
    level: Level | None = None
    away: bool = False
    drawn: int = 0
    taken: int = 0
    takes: int = 0
    empty: bool = False
    waited: list[tuple[int, float]] = field(default_factory=list)
    """Of takes: how many jobs at most, and how long."""
    left: list[frozenset[str]] = field(default_factory=list)
    """Of takes: types that were not wanted."""
    _interrupted: asyncio.Event = field(default_factory=asyncio.Event)

    async def take_tokens(self, bucket: str, *, count: int, rate: float, burst: float) -> Tokens:
        if self.away:
            raise BrokerUnavailable("away")
        now = asyncio.get_running_loop().time()
        self.level, tokens = draw(self.level, now=now, count=count, rate=rate, burst=burst)
        self.drawn += tokens.granted
        return tokens

    async def take(self, *, limit: int, wait: float, without: frozenset[str]) -> list[Taken]:
        self.takes += 1
        self.waited.append((limit, wait))
        self.left.append(without)
        if self.empty:
            self._interrupted.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._interrupted.wait()
            return []
        self.taken += limit
        await asyncio.sleep(0.001)
        job = {"type": "t", "payload": b"", "attempt": 1, "waited": 0.0, "redelivered": False}
        return [Taken(token="x", job_id=f"{self.takes}-{n}", **cast("Any", job)) for n in range(limit)]

    async def interrupt(self) -> None:
        """End the take that waits."""
        self._interrupted.set()


@dataclass
class Worker:
    """An intake whose jobs end at once, or are refused for want of room in their lane."""

    queue: Queue = field(default_factory=Queue)
    rate: float | None = RATE
    lane_full: bool = False
    begun: int = 0
    full: frozenset[str] = frozenset()
    """Types without room."""
    again: float = math.inf

    def __post_init__(self) -> None:
        broker = cast("Broker", self.queue)
        metrics = Metrics(pool="p", version="v", slots={})
        self.limiter = RateLimiter(broker, "b", rate=lambda: self.rate, metrics=metrics, changed=lambda: None)
        self.gate, self.slots = Gate(), Slots(20, intakes=1)
        self.intake = Intake(
            "main",
            broker,
            comeback=Comeback(broker),
            gate=self.gate,
            slots=self.slots,
            evidence=Evidence(),
            accept=self._accept,
            without_room=lambda _: (self.full, self.again),
            limiter=lambda: None if self.rate is None else self.limiter,
            circuits=None,
            log=structlog.get_logger(),
        )

    def _accept(self, jobs: Sequence[Taken]) -> Sequence[Taken]:
        self.slots.release(len(jobs))
        if self.lane_full:
            return jobs
        self.begun += len(jobs)
        return []

    async def work(self, seconds: float) -> None:
        task = asyncio.create_task(self.intake.run())
        await asyncio.sleep(seconds)
        await self.gate.close("over")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        self.gate.open("over")


async def test_no_more_is_taken_than_there_are_tokens_for() -> None:
    worker = Worker()
    await worker.work(10)
    assert worker.queue.taken == worker.begun <= worker.queue.drawn
    assert 9 * RATE <= worker.begun <= 10 * RATE + burst(RATE)


async def test_while_the_broker_gives_no_tokens_nothing_is_taken_and_the_trouble_is_told() -> None:
    worker = Worker(Queue(away=True))
    await worker.work(10)
    assert (worker.queue.takes, worker.intake.trouble) == (0, "BrokerUnavailable")
    worker.queue.away = False
    await worker.work(10)
    assert worker.begun > 0
    assert worker.intake.trouble == ""


async def test_jobs_that_go_back_because_their_lane_is_full_cost_no_tokens() -> None:
    worker = Worker(rate=0.1, lane_full=True)
    await worker.work(5)
    assert worker.queue.takes > 5
    assert worker.queue.drawn <= 2


async def test_a_gate_that_closed_while_tokens_were_awaited_lets_nothing_be_taken() -> None:
    """And what came meanwhile is given back."""
    worker = Worker(rate=0.1)
    working = asyncio.create_task(worker.work(60))
    await asyncio.sleep(1)
    await worker.gate.close("fence")
    takes, drawn = worker.queue.takes, worker.queue.drawn
    await asyncio.sleep(20)
    assert (worker.queue.takes, worker.queue.drawn) == (takes, drawn)
    worker.gate.open("fence")
    await working
    assert worker.queue.takes > takes


async def test_who_waits_for_jobs_waits_with_one_token() -> None:
    worker = Worker(rate=100.0)
    await worker.work(3)
    worker.queue.empty = True
    worker.queue.waited.clear()
    await worker.work(10)
    assert sum(wait for limit, wait in worker.queue.waited if limit > 1) < 0.1
    assert max(wait for limit, wait in worker.queue.waited if limit == 1) > 1
    assert worker.limiter.waiting is False


async def test_without_a_limit_nobody_asks_for_tokens() -> None:
    worker = Worker(rate=None)
    await worker.work(1)
    assert worker.begun > 0
    assert worker.queue.drawn == 0


async def test_a_take_for_other_lanes_ends_when_a_lane_has_room_again() -> None:
    worker = Worker(Queue(empty=True), rate=None, full=frozenset({"slow", "other"}))
    task = asyncio.create_task(worker.work(1.5))
    await asyncio.sleep(0.5)
    worker.intake.room()
    await asyncio.sleep(0.5)
    assert worker.queue.left == [{"slow", "other"}], "a slot of a lane that had room anyway changes nothing"
    worker.full = frozenset({"other"})
    worker.intake.room()
    await asyncio.sleep(0)
    await asyncio.sleep(0.01)
    assert worker.queue.left == [{"slow", "other"}, {"other"}]
    await task


async def test_a_take_waits_no_longer_than_until_a_circuit_lets_somebody_through() -> None:
    worker = Worker(Queue(empty=True), rate=None, full=frozenset({"broken"}), again=0.5)
    await worker.work(0.9)
    assert worker.queue.waited == [(20, 0.5), (20, 0.5)]
