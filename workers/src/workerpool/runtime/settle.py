"""Telling the broker how jobs ended, in batches: what ends while one batch is under way goes with the next."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from workerpool.broker import BadAnswer, Broker, BrokerError, DeadLetter, Retry
from workerpool.runtime.comeback import Comeback
from workerpool.runtime.inflight import Running


@dataclass(frozen=True, slots=True)
class _Ended:
    running: Running


class Done(_Ended):
    """Acknowledge it."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class TryAgain(_Ended):
    """Let it be tried again `delay` seconds from now."""

    delay: float
    counts: bool = True
    """Whether the attempt that has failed counts."""


@dataclass(frozen=True, slots=True)
class Bury(_Ended):
    """Dead-letter it."""

    letter: DeadLetter


class HandBack(_Ended):
    """Let someone else have it at once; this attempt does not count."""

    __slots__ = ()


class Drop(_Ended):
    """It is not ours any more: nothing to tell."""

    __slots__ = ()


Outcome = Done | TryAgain | Bury | HandBack | Drop


class Settler:
    """Settles the outcomes of one queue's jobs. A job keeps its slot until the broker has confirmed."""

    def __init__(
        self, broker: Broker, *, comeback: Comeback, settled: Callable[[Outcome, bool], None], log: Any
    ) -> None:
        """`settled` is called once per outcome: whether the job was still ours."""
        self._broker = broker
        self._comeback = comeback
        self._settled = settled
        self._log = log
        self._outcomes: list[Outcome] = []
        self._wake = asyncio.Event()

    def submit(self, outcome: Outcome) -> None:
        """Settle this, soon."""
        outcome.running.settling = True
        self._outcomes.append(outcome)
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled; what is submitted then is left to the leases."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            outcomes, self._outcomes = self._outcomes, []
            for kind in (Done, TryAgain, Bury, HandBack, Drop):
                batch = [outcome for outcome in outcomes if isinstance(outcome, kind)]
                if batch:
                    await self._settle(batch)

    async def _settle(self, batch: Sequence[Outcome]) -> None:
        """Repeat until the broker has answered: the handlers' work is done and must not be done twice."""
        failures = 0
        while True:
            await self._comeback.turn()
            try:
                lost = await self._tell(batch)
            except BadAnswer as error:
                await self._split(batch, error)
                return
            except BrokerError as error:
                failures += 1
                if failures == 1:
                    self._log.warning("cannot settle jobs, trying on", error=type(error).__name__, detail=str(error))
                self._comeback.failed(failures)
                continue
            for outcome in batch:
                # After a failure "not yours" may mean that it was settled and only the answer was lost.
                self._settled(outcome, failures > 0 or outcome.running.job.token not in lost)
            return

    async def _split(self, batch: Sequence[Outcome], error: BadAnswer) -> None:
        """One job that the broker chokes on must not hold up the others. Its lease will bring it back."""
        if len(batch) > 1:
            for outcome in batch:
                await self._settle([outcome])
            return
        [outcome] = batch
        self._log.error("the broker cannot settle this job", job_id=outcome.running.job.job_id, detail=str(error))
        self._settled(outcome, False)  # noqa: FBT003

    async def _tell(self, batch: Sequence[Outcome]) -> frozenset[str]:
        jobs = [outcome.running.job for outcome in batch]
        match batch[0]:
            case Done():
                return await self._broker.ack(jobs)
            case HandBack():
                begun = [replace(one.running.job, begun=True) for one in batch if one.running.started_at is not None]
                rest = [one.running.job for one in batch if one.running.started_at is None]
                return await self._broker.hand_back([*begun, *rest])
            case TryAgain():
                again = [outcome for outcome in batch if isinstance(outcome, TryAgain)]
                return await self._broker.retry_later([Retry(one.running.job, one.delay, one.counts) for one in again])
            case Bury():
                return await self._broker.dead_letter([one.letter for one in batch if isinstance(one, Bury)])
            case Drop():
                return frozenset(job.token for job in jobs)
