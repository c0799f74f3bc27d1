"""A worker of job type `sleep` on the real broker, which tells of its jobs as the reference worker does."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

from workerpool import Queue, broker
from workerpool.broker import DeadLetter, DeathReason, Taken
from workerpool.redis import Redis

LEASE_SECONDS = 0.4


@dataclass(frozen=True, kw_only=True)
class Misdeeds:
    """What this worker does wrong, by number of the job within the load."""

    dies_with: frozenset[int] = frozenset()
    """Starts these once and lets their leases expire."""
    loses: frozenset[int] = frozenset()
    """Acknowledges these without doing them."""
    buries: frozenset[int] = frozenset()
    """Puts these into the dead letters."""
    silent: bool = False
    """Writes no records."""


@contextlib.asynccontextmanager
async def working(url: str, stream: str, *, misdeeds: Misdeeds | None = None) -> AsyncIterator[None]:
    """Work on the stream for as long as the context lasts."""
    task = asyncio.create_task(_Worker(url, stream, misdeeds or Misdeeds()).run())
    try:
        yield
    finally:
        # Once: a second cancellation would end it while it closes its connections.
        task.cancel()
        await asyncio.wait([task])


class _Worker:
    def __init__(self, url: str, stream: str, misdeeds: Misdeeds) -> None:
        self._address = (url, stream)
        self._broker = self._connect()
        self._dead: list[broker.Broker] = []
        self._redis = Redis(Queue.connect(url, stream=stream))
        self._misdeeds = misdeeds
        self._died: set[str] = set()

    def _connect(self) -> broker.Broker:
        url, stream = self._address
        return broker.connect(url, stream=stream, lease_seconds=LEASE_SECONDS)

    async def run(self) -> None:
        try:
            while True:
                await self._broker.maintain()
                for job in await self._broker.take(limit=10, wait=0.1):
                    await self._do(job)
        finally:
            for each in (*self._dead, self._broker):
                await each.close()
            await self._redis.close()

    async def _do(self, job: Taken) -> None:
        number = int(job.job_id.rpartition("-")[2])
        if number in self._misdeeds.loses:
            await self._broker.ack([job])
            return
        await self._tell("start", job)
        if number in self._misdeeds.dies_with and job.job_id not in self._died:
            self._died.add(job.job_id)
            self._dead.append(self._broker)
            self._broker = self._connect()
            return
        await asyncio.sleep(json.loads(job.payload)["seconds"])
        if number in self._misdeeds.buries:
            await self._tell("fail", job)
            await self._broker.dead_letter([DeadLetter(job=job, reason=DeathReason.REJECTED)])
            return
        await self._tell("finish", job)
        await self._broker.ack([job])

    async def _tell(self, event: str, job: Taken) -> None:
        if not self._misdeeds.silent:
            record = ("event", event, "job", job.job_id, "attempt", job.attempt, "pod", "pod-1", "node", "node-1")
            await self._redis.call("XADD", self._redis.key("results"), "*", *record)
