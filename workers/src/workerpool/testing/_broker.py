"""The queue in memory, with a record of what becomes of its jobs and with points at which a worker can be killed."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from workerpool._source import Source
from workerpool.broker import Broker, DeadLetter, Retry, Taken
from workerpool.broker._memory import MemoryBroker
from workerpool.broker._memory_store import MemoryStore
from workerpool.testing._process import PROCESS, point
from workerpool.testing._records import Outcome, Records


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayedSource(Source):
    """A queue in memory that is looked at."""

    records: Records

    def connect(self, *, consumer: str = "", lease_seconds: float = 60.0, timeout: float = 5.0) -> Broker:  # noqa: ARG002  all queues are connected so
        """A new view of it."""
        return _PlayedBroker(self.store or MemoryStore(), lease_seconds=lease_seconds, records=self.records)


class _Ended(NamedTuple):
    job: Taken
    outcome: Outcome
    delay: float | None = None


class _PlayedBroker(MemoryBroker):
    """Points: `taken`, `handled` before the broker is told how an attempt ended, `settled` after, `checkpointed`."""

    def __init__(self, store: MemoryStore, *, lease_seconds: float, records: Records) -> None:
        super().__init__(store, lease_seconds=lease_seconds)
        self._records = records

    async def take(self, *, limit: int, wait: float, without: frozenset[str] = frozenset()) -> list[Taken]:
        """Take; from now on each is an attempt."""
        jobs = await super().take(limit=limit, wait=wait, without=without)
        process = PROCESS.get()
        for job in jobs:
            self._records.began(job, process.name if process else "")
        if jobs:
            await point("taken")
        return jobs

    async def checkpoint(self, job: Taken, state: bytes) -> bool:
        """Keep it."""
        ours = await super().checkpoint(job, state)
        if ours:
            self._records.checkpointed(job, state)
            await point("checkpointed")
        return ours

    async def ack(self, jobs: Sequence[Taken]) -> frozenset[str]:
        """They are done."""
        return await self._settle(partial(super().ack, jobs), [_Ended(job, Outcome.DONE) for job in jobs])

    async def retry_later(self, retries: Sequence[Retry]) -> frozenset[str]:
        """They failed."""
        ended = [_Ended(retry.job, Outcome.RETRIED, retry.delay) for retry in retries]
        return await self._settle(partial(super().retry_later, retries), ended)

    async def hand_back(self, jobs: Sequence[Taken]) -> frozenset[str]:
        """They go back."""
        return await self._settle(partial(super().hand_back, jobs), [_Ended(job, Outcome.HANDED_BACK) for job in jobs])

    async def dead_letter(self, letters: Sequence[DeadLetter]) -> frozenset[str]:
        """They failed for good."""
        return await self._settle(
            partial(super().dead_letter, letters), [_Ended(one.job, Outcome.DEAD) for one in letters]
        )

    async def _settle(self, tell: Callable[[], Awaitable[frozenset[str]]], ended: Sequence[_Ended]) -> frozenset[str]:
        await point("handled")
        lost = await tell()
        dead = {letter.job_id: letter for letter in self._store.dead.values()}
        for job, outcome, delay in ended:
            if job.token in lost:
                self._records.ended(job, Outcome.LOST)
            else:
                letter = dead.get(job.job_id) if outcome is Outcome.DEAD else None
                self._records.ended(job, outcome, delay=delay, dead=letter)
        await point("settled")
        return lost
