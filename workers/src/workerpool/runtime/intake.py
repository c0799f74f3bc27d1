"""Taking jobs from one queue, as many as there are free slots."""

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Any, Final

from workerpool.broker import Broker, BrokerError, Taken
from workerpool.runtime.evidence import Evidence
from workerpool.runtime.gate import Gate
from workerpool.runtime.rotation import Rotation
from workerpool.runtime.slots import Slots

TAKE_SECONDS: Final = 2.0
_CONTENDED_TAKE_SECONDS: Final = 0.02
_LONGEST_PAUSE_SECONDS: Final = 5.0
# A take may recover, reclaim, reconnect and read, each with the broker's own timeout.
_TAKE_MARGIN_SECONDS: Final = 30.0


class Intake:
    """A loop: wait for the gate and for slots, take, hand on."""

    def __init__(
        self,
        queue: str,
        broker: Broker,
        *,
        gate: Gate,
        slots: Slots,
        evidence: Evidence,
        accept: Callable[[str, Sequence[Taken]], Sequence[Taken]],
        log: Any,
    ) -> None:
        """`accept` starts jobs, and returns those whose lane is full: they go back to the queue."""
        self._queue = queue
        self._broker = broker
        self._gate = gate
        self._slots = slots
        self._evidence = evidence
        self._accept = accept
        self._log = log
        self._failures = 0
        self._idle = False
        self._pause_seconds = 0.0
        self.rotation = Rotation()
        self.trouble = ""
        """Name of the error for which nothing can be taken now."""
        gate.on_close(broker.interrupt)
        slots.on_starved(self._give_way)

    async def run(self) -> None:
        """Until cancelled. Cancel only when the gate is closed: then no take is in progress."""
        while True:
            await self._gate.wait_open()
            reserved = await self._slots.reserve()
            taken = 0
            try:
                if self._gate.enter():
                    taken = await self._take(reserved)
            finally:
                self._slots.release(reserved - taken)
            if self.trouble:
                await self._pause()
            elif self._pause_seconds:
                await self.rotation.pause(self._pause_seconds)

    async def _take(self, limit: int) -> int:
        wait = _CONTENDED_TAKE_SECONDS if self._slots.contended else TAKE_SECONDS
        self._evidence.take_began(self._queue, wait=wait + _TAKE_MARGIN_SECONDS)
        self._idle = True
        try:
            jobs = await self._broker.take(limit=limit, wait=wait)
            # From here to `leave` nothing may wait: the gate promises that what was taken is registered.
            refused = self._accept(self._queue, jobs)
            ids = [job.job_id for job in refused]
            self._pause_seconds = self.rotation.took(accepted=len(jobs) - len(ids), refused=ids)
        except BrokerError as error:
            self._trouble(error)
            return 0
        finally:
            self._idle = False
            self._evidence.take_ended(self._queue)
            self._gate.leave()
        if self.trouble:
            self._log.info("broker is back", queue=self._queue, failures=self._failures)
        self._failures, self.trouble = 0, ""
        return len(jobs)

    async def _give_way(self) -> None:
        if self._idle:
            await self._broker.interrupt()

    def _trouble(self, error: BrokerError) -> None:
        name = type(error).__name__
        if name != self.trouble:
            self._log.warning("cannot take jobs", queue=self._queue, error=name, detail=str(error))
        self.trouble = name
        self._failures += 1

    async def _pause(self) -> None:
        """Full jitter: after a broker's restart the workers come back spread over seconds."""
        ceiling = min(_LONGEST_PAUSE_SECONDS, 0.1 * 2 ** min(self._failures, 10))
        await asyncio.sleep(random.uniform(ceiling / 4, ceiling))  # noqa: S311
