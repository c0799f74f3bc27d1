"""Taking jobs from one queue, as many as there are free slots."""

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from workerpool.broker import Broker, BrokerError, Taken
from workerpool.runtime.comeback import Comeback
from workerpool.runtime.evidence import Evidence
from workerpool.runtime.gate import Gate
from workerpool.runtime.rotation import Rotation
from workerpool.runtime.slots import Slots

if TYPE_CHECKING:
    from workerpool.guards.breaker import Circuits
    from workerpool.guards.pace import Pace
    from workerpool.guards.rate import RateLimiter

TAKE_SECONDS: Final = 2.0
_CONTENDED_TAKE_SECONDS: Final = 0.02
_WANTED_TOKENS_TAKE_SECONDS: Final = 0.25
# A take may recover, reclaim, reconnect and read, each with the broker's own timeout.
_TAKE_MARGIN_SECONDS: Final = 30.0


class Intake:
    """A loop: wait for the gate and for slots, take, hand on."""

    def __init__(
        self,
        queue: str,
        broker: Broker,
        *,
        comeback: Comeback,
        gate: Gate,
        slots: Slots,
        evidence: Evidence,
        accept: Callable[[Sequence[Taken]], Sequence[Taken]],
        without_room: Callable[[float], tuple[frozenset[str], float]],
        limiter: "Callable[[], RateLimiter | Pace | None]",
        circuits: "Circuits | None",
        log: Any,
    ) -> None:
        """`accept` starts jobs, and returns those that it cannot start now: they go back to the queue.

        `without_room`: types of jobs that it could not start now, and for how many seconds at least, inf when nobody
        knows. `limiter`: that of the limit which is in force now, None when there is none. `circuits`: of the handlers'
        breakers, None when they have none.
        """
        self._queue = queue
        self._broker = broker
        self._comeback = comeback
        self._gate = gate
        self._slots = slots
        self._evidence = evidence
        self._accept = accept
        self._without_room = without_room
        self._limiter = limiter
        self._circuits = circuits
        self._log = log
        self._failures = 0
        self._idle = False
        self._without: frozenset[str] = frozenset()
        self._giving_way: set[asyncio.Task[None]] = set()
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
            if self._circuits is not None:
                await self._circuits.wait()
            reserved = await self._slots.reserve()
            most = (self._circuits.most if self._circuits is not None else None) or reserved
            taken = 0
            try:
                limiter = self._limiter()
                if limiter is not None:
                    taken = await self._take_with_tokens(limiter, most)
                elif self._gate.enter():
                    taken, _ = await self._take(most, wait=TAKE_SECONDS)
            finally:
                self._slots.release(reserved - taken)
            if self.trouble:
                await self._comeback.turn()
            elif self._pause_seconds:
                await self.rotation.pause(self._pause_seconds)

    async def _take_with_tokens(self, limiter: "RateLimiter | Pace", most: int) -> int:
        """Take no more than there are tokens for. The gate is entered with the tokens: waiting for them is no take."""
        try:
            tokens = await limiter.draw(self._queue, most)
        except BrokerError as error:
            self._trouble(error)
            return 0
        taken = started = 0
        if self._gate.enter():
            wait = _WANTED_TOKENS_TAKE_SECONDS if limiter.contended else TAKE_SECONDS
            # Who waits for jobs waits with one token: many such workers could pass the limit with more of them.
            wait = wait if tokens == 1 else _CONTENDED_TAKE_SECONDS
            taken, started = await self._take(tokens, wait=wait)
        await limiter.spent(self._queue, drawn=tokens, used=started)
        return taken

    async def _take(self, limit: int, *, wait: float) -> tuple[int, int]:
        """How many jobs were taken, and how many of them run: the others go back."""
        wait = _CONTENDED_TAKE_SECONDS if self._slots.contended else wait
        self._evidence.take_began(self._queue, wait=wait + _TAKE_MARGIN_SECONDS)
        self._idle = True
        self._without, again = self._without_room(asyncio.get_running_loop().time())
        try:
            jobs = await self._broker.take(limit=limit, wait=min(wait, again), without=self._without)
            # From here to `leave` nothing may wait: the gate promises that what was taken is registered.
            refused = self._accept(jobs)
            started = len(jobs) - len(refused)
            self._pause_seconds = self.rotation.took(accepted=started, refused=[job.job_id for job in refused])
        except BrokerError as error:
            self._trouble(error)
            return 0, 0
        finally:
            self._idle = False
            self._evidence.take_ended(self._queue)
            self._gate.leave()
        if self.trouble:
            self._log.info("broker is back", queue=self._queue, failures=self._failures)
        self._failures, self.trouble = 0, ""
        self._comeback.worked()
        return len(jobs), started

    def room(self) -> None:
        """A lane has a slot again. A take that waits for jobs of other lanes only is begun anew."""
        self.rotation.room()
        if not (self._idle and self._without):
            return
        full, _ = self._without_room(asyncio.get_running_loop().time())
        if not full >= self._without:
            self._without = frozenset()
            task = asyncio.create_task(self._give_way())
            self._giving_way.add(task)
            task.add_done_callback(self._giving_way.discard)

    async def _give_way(self) -> None:
        if self._idle:
            await self._broker.interrupt()

    def _trouble(self, error: BrokerError) -> None:
        name = type(error).__name__
        if name != self.trouble:
            self._log.warning("cannot take jobs", queue=self._queue, error=name, detail=str(error))
        self.trouble = name
        self._failures += 1
        self._comeback.failed(self._failures)
