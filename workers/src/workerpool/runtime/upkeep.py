"""What a queue's consumer does beside taking: keep the leases of running jobs, and keep the queue in shape."""

import asyncio
import random
from typing import Any

from workerpool.broker import Broker, BrokerError
from workerpool.runtime.comeback import Comeback
from workerpool.runtime.execution import about_job
from workerpool.runtime.inflight import Cancelled, InFlight, Running
from workerpool.telemetry import fates


class LeaseKeeper:
    """Extends the leases of one queue's jobs, all in one call, three times per lease."""

    def __init__(self, queue: str, broker: Broker, in_flight: InFlight, *, comeback: Comeback, log: Any) -> None:
        self._queue = queue
        self._broker = broker
        self._in_flight = in_flight
        self._comeback = comeback
        self._log = log
        self._now = asyncio.Event()

    def extend_now(self) -> None:
        """Do not wait for the next turn: the lease has changed."""
        self._now.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            pause = self._broker.lease_seconds / 3
            try:
                async with asyncio.timeout(random.uniform(0.8, 1.0) * pause):  # noqa: S311
                    await self._now.wait()
            except TimeoutError:
                pass
            self._now.clear()
            await self._extend()

    async def _extend(self) -> None:
        await self._comeback.turn()
        mine = [one for one in self._in_flight if one.queue == self._queue]
        if not mine:
            return
        try:
            lost = await self._broker.extend([one.job for one in mine])
        except BrokerError as error:
            # The intake says that the broker is away; here it only means that the next turn must be soon.
            self._log.debug("cannot extend leases", queue=self._queue, error=type(error).__name__)
            self._comeback.failed()
            self._now.set()
            return
        for one in mine:
            if one.job.token in lost:
                self._give_up(one)

    def _give_up(self, running: Running) -> None:
        """Someone else may run this job by now. One that is being settled is not looked at: it may be gone rightly."""
        if running.settling or running.cancelled is not None or (running.task is None and running.batch is None):
            return
        self._log.warning(fates.LEASE_LOST, **about_job(running.job), queue=self._queue)
        running.cancel(Cancelled.LEASE_LOST)


async def maintain(queue: str, broker: Broker, comeback: Comeback, log: Any) -> None:
    """Keep a queue in shape until cancelled. All workers of a pool do it; what is due is done once.

    It may fail where taking does not: then jobs run, but delayed ones do not become due, and nothing is trimmed.
    """
    trouble = ""
    while True:
        await comeback.turn()
        try:
            pause = await broker.maintain()
        except BrokerError as error:
            name = type(error).__name__
            if name != trouble:
                log.warning("cannot keep the queue in shape", queue=queue, error=name, detail=str(error))
            trouble = name
            comeback.failed()
        else:
            if trouble:
                log.info("the queue is kept in shape again", queue=queue)
            trouble = ""
            await asyncio.sleep(pause)
