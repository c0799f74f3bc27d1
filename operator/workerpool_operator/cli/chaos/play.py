"""One play: wait for the steady state, break, look on, put back, look on until all is as before, and judge.

Whatever happens, a cancellation included, what was broken is put back before this returns. When this process dies
itself, `cleanup` finds what is left.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from workerpool_operator.cli.chaos.judge import HOLD_SECONDS, Row, Sight, Story, Tally, judge, recovered
from workerpool_operator.cli.chaos.table import Scenario
from workerpool_operator.cli.cluster import TroubleError

LOOK_SECONDS: Final = 1.0
STEADY_SECONDS: Final = 120.0
"""For the steady state before: a pool that is not well is not made worse."""
MEND_SECONDS: Final = 180.0
"""For putting back: a node takes its time to come."""
SETTLE_SECONDS: Final = 120.0
"""For jobs that are still on their way when all is over."""
CALM_SECONDS: Final = 5.0
"""So long the steady state has been seen before anything is broken."""


class Hands(Protocol):
    """Who breaks. A new one for each play."""

    async def strike(self) -> str:
        """Break it; in a few words what was done. Raises TroubleError where it cannot be, with nothing broken."""
        ...

    @property
    def victims(self) -> frozenset[str]:
        """Uids of the worker pods that were struck."""
        ...

    async def healed(self) -> bool:
        """Whether what was struck is there again; for what `mend` puts back, simply yes."""
        ...

    async def took(self) -> bool | None:
        """Whether the fault took effect, asked at its end, before it is put back; None: the checks show that."""
        ...

    async def mend(self) -> None:
        """Put back what is broken; also after half a stroke, and more than once."""
        ...


class Eyes(Protocol):
    """Who looks at the pool."""

    async def look(self) -> Sight:
        """Now. Does not raise: what cannot be seen is told as `trouble`."""
        ...


class Jobs(Protocol):
    """Who counts jobs."""

    @property
    def done(self) -> float | None:
        """So far; None where it is not known."""
        ...

    async def finish(self, *, seconds: float) -> Tally | None:
        """Send no more, wait for those that are on their way, and count."""
        ...


@dataclass(slots=True, kw_only=True)
class Play:
    """One scenario, with those who take part in it. `run` once."""

    scenario: Scenario
    hands: Hands
    eyes: Eyes
    jobs: Jobs
    seconds: float
    """How long it stays broken, unless it has to heal by itself."""
    tell: Callable[[str], None]
    steady_within: float = STEADY_SECONDS
    settle_within: float = SETTLE_SECONDS
    look_every: float = LOOK_SECONDS
    story: Story = field(default_factory=Story)

    async def run(self) -> Row:
        """Play it.

        Raises:
            TroubleError: there was no steady state to begin with, or it could not be broken; nothing is broken then.
        """
        self.tell("before: waiting for the steady state")
        await self._steady_before()
        async with self._broken():
            if self.scenario.heals_itself:
                await self._until_recovered()
            else:
                await self._look_on(self.seconds)
            self.story.took = await self.hands.took()
        if not self.scenario.heals_itself:
            await self._until_recovered()
        self.tell("counting the jobs")
        self.story.tally = await self.jobs.finish(seconds=self.settle_within)
        return judge(self.story, self.scenario)

    @contextlib.asynccontextmanager
    async def _broken(self) -> AsyncIterator[None]:
        try:
            self.story.struck_at = time.monotonic()
            self.story.did = await self.hands.strike()
            self.story.victims = self.hands.victims
            self.tell(f"broken: {self.story.did}")
            yield
        finally:
            await self._put_back()
        if not self.scenario.heals_itself:
            self.tell("put back")

    async def _put_back(self) -> None:
        """Also when cancelled: then nothing but this is waited for, and a second Ctrl-C does not end it."""
        mending = asyncio.ensure_future(_mend(self.hands))
        cancelled = False
        while not mending.done():
            try:
                await asyncio.shield(mending)
            except asyncio.CancelledError:
                cancelled = True
            except Exception:  # noqa: BLE001  it is raised below, when nobody is cancelled any more
                break
        self.story.mended_at = time.monotonic()
        mending.result()
        if cancelled:
            raise asyncio.CancelledError

    async def _steady_before(self) -> None:
        give_up = time.monotonic() + self.steady_within
        since: float | None = None
        first: float | None = None
        while True:
            sight = await self._look()
            first = sight.done if first is None else first
            flows = sight.done is None or sight.done > (first or 0)
            since = (since or sight.at) if sight.steady and flows else None
            if since is not None and sight.at - since >= min(CALM_SECONDS, self.steady_within / 2):
                return
            if time.monotonic() > give_up:
                raise TroubleError(f"nothing was broken: there is no steady state to begin with, {_why_not(sight)}")
            await asyncio.sleep(self.look_every)

    async def _look_on(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            await self._look()
            await asyncio.sleep(min(self.look_every, max(0.0, end - time.monotonic())))
        await self._look()

    async def _until_recovered(self) -> None:
        origin = self.story.struck_at if self.scenario.heals_itself else self.story.mended_at
        give_up = origin + self.scenario.recovers_within + HOLD_SECONDS + self.look_every
        while True:
            await self._look()
            # A second that held is enough: how long it has to hold is the judge's.
            if recovered(self.story, self.scenario) is not None or time.monotonic() > give_up:
                return
            await asyncio.sleep(self.look_every)

    async def _look(self) -> Sight:
        sight = await self.eyes.look()
        healed = not self.story.struck_at or await self.hands.healed()
        sight = replace(sight, done=self.jobs.done if sight.done is None else sight.done, healed=healed)
        self.story.sights.append(sight)
        self.tell(_line(sight))
        return sight


async def _mend(hands: Hands) -> None:
    async with asyncio.timeout(MEND_SECONDS):
        await hands.mend()


def _line(sight: Sight) -> str:
    if sight.trouble:
        return f"cannot be seen: {sight.trouble}"
    done = "" if sight.done is None else f", {sight.done:g} jobs done"
    state = "" if sight.ready else ", pool not Ready"
    queue = "" if sight.reachable else ", queue not reachable"
    return f"{len(sight.workers)} of {sight.desired} workers ready{done}{state}{queue}"


def _why_not(sight: Sight) -> str:
    if not sight.trouble and sight.steady:
        return "no job is done: give the pool work, or let wpool chaos do it by --url and --stream"
    return _line(sight)
