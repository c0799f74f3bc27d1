"""Telling the broker how jobs ended, in batches: what ends while one batch is under way goes with the next."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

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


_UNKNOWN_TRIES: Final = 3
"""After so many answers that make no sense a job is left to its lease: some pass, as those of a proxy do."""
_KINDS: Final = (Done, TryAgain, Bury, HandBack, Drop)


class Settler:
    """Settles the outcomes of one queue's jobs. A job keeps its slot until the broker has confirmed.

    Each kind of outcome by itself: a broker may refuse one, as a full one does what adds to it, and take another.
    """

    def __init__(
        self, broker: Broker, *, comeback: Comeback, settled: Callable[[Outcome, bool], None], log: Any
    ) -> None:
        """`settled` is called once per outcome: whether the job was still ours."""
        self._lines = {kind: _Line(broker, comeback=comeback, settled=settled, log=log) for kind in _KINDS}
        self._group: asyncio.TaskGroup | None = None
        self._begun: set[type[Outcome]] = {Done}

    def submit(self, outcome: Outcome) -> None:
        """Settle this, soon."""
        outcome.running.settling = True
        self._lines[type(outcome)].add(outcome)
        self._begin(type(outcome))

    async def run(self) -> None:
        """Until cancelled; what is submitted then is left to the leases."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                for kind, line in self._lines.items():
                    if line.waiting:
                        self._begin(kind)
                await self._lines[Done].run()
            finally:
                self._group = None

    def _begin(self, kind: type[Outcome]) -> None:
        """A task of its own, with the first of its kind: most queues see few others than those that are done."""
        if self._group is not None and kind not in self._begun:
            self._begun.add(kind)
            self._group.create_task(self._lines[kind].run())


class _Line:
    """Outcomes of one kind."""

    def __init__(
        self, broker: Broker, *, comeback: Comeback, settled: Callable[[Outcome, bool], None], log: Any
    ) -> None:
        self._broker = broker
        self._comeback = comeback
        self._settled = settled
        self._log = log
        self._outcomes: list[Outcome] = []
        self._wake = asyncio.Event()

    @property
    def waiting(self) -> bool:
        return bool(self._outcomes)

    def add(self, outcome: Outcome) -> None:
        self._outcomes.append(outcome)
        self._wake.set()

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            outcomes, self._outcomes = self._outcomes, []
            await self._settle(outcomes)

    async def _settle(self, batch: Sequence[Outcome]) -> None:
        """Repeat until the broker has answered: the handlers' work is done and must not be done twice."""
        failures = 0
        while True:
            await self._comeback.turn()
            try:
                lost = await self._tell(batch)
            except BadAnswer as error:
                if len(batch) > 1:  # one job that the broker chokes on must not hold up the others
                    for outcome in batch:
                        await self._settle([outcome])
                    return
                failures += 1
                if failures == _UNKNOWN_TRIES:
                    self._leave(batch[0], error)
                    return
                await self._comeback.refused(failures)
                continue
            except BrokerError as error:
                failures += 1
                if failures == 1:
                    self._log.warning("cannot settle jobs, trying on", error=type(error).__name__, detail=str(error))
                if failures > 1 and self._broker.connected:  # it is there, and refuses this
                    await self._comeback.refused(failures)
                else:
                    self._comeback.failed(failures)
                continue
            for outcome in batch:
                # After a failure "not yours" may mean that it was settled and only the answer was lost.
                self._settled(outcome, failures > 0 or outcome.running.job.token not in lost)
            return

    def _leave(self, outcome: Outcome, error: BadAnswer) -> None:
        """Its lease will bring it back."""
        self._log.error("the broker cannot settle this job", job_id=outcome.running.job.job_id, detail=str(error))
        self._broker.let_go([outcome.running.job])
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
                return await self._broker.retry_later([Retry(one.running.job, one.delay) for one in again])
            case Bury():
                return await self._broker.dead_letter([one.letter for one in batch if isinstance(one, Bury)])
            case Drop():
                self._broker.let_go(jobs)
                return frozenset(job.token for job in jobs)
