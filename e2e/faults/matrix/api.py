"""F2 and F3: the way to the API server is bad."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from e2e.faults.inject import (
    Answer,
    Delay,
    Drop,
    DropEvents,
    EndWatch,
    Fault,
    LateEvents,
    LoseAnswer,
    Match,
    ReorderEvents,
)
from e2e.faults.lane import Lane
from e2e.faults.matrix import course
from e2e.faults.matrix.course import Tally, Upon, Variant
from e2e.faults.matrix.ground import RESYNC_SECONDS, Ground
from e2e.faults.matrix.rows import Trial
from e2e.faults.scenarios import Stage
from e2e.support.wait import until

SECONDS = 4.0
"""A fault lasts so long after the change was made."""
WRITES = Match(methods=frozenset({"POST", "PUT", "PATCH", "DELETE"}))
_EVERYTHING, _WATCHES = Match(), Match(watch=True)
_BEYOND_DEADLINE_SECONDS = 14.0
"""After 10 s without the API server a leader stops to write."""
_OUTAGE_SECONDS = 600.0
_LAG_SECONDS = 5.0
_CUT_SECONDS = 0.5
_LISTINGS = Match(methods=frozenset({"GET"}), path=r"^(?!.*/namespaces/).*[?&]limit=", watch=False)
"""What fills the operator's store; where it lists within one namespace, a server has to give the newest."""
_LIST_ANEW_SECONDS = 3.0


def meeting(fault: Fault, *, match: Match, seconds: float = SECONDS) -> Upon:
    """Have all requests that match meet the fault; watches that are open begin anew, and meet it, too."""

    @asynccontextmanager
    async def upon(lane: Lane, stage: Stage, tally: Tally) -> AsyncIterator[None]:
        del stage
        with lane.proxy.fault(match, fault) as injection:
            cut = lane.proxy.cut_streams(Match(watch=True))
            if isinstance(fault, DropEvents | ReorderEvents | LateEvents):

                async def all_met() -> bool:
                    return injection.hits >= cut

                await until(all_met, seconds=30, what="every watch has begun anew")
            yield
            await asyncio.sleep(seconds)
        tally.injected += injection.hits

    return upon


@asynccontextmanager
async def beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Do this for as long as the context lasts."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def _cut_again_and_again(lane: Lane, stage: Stage, tally: Tally) -> AsyncIterator[None]:
    del stage

    async def cut() -> None:
        while True:
            tally.injected += lane.proxy.cut_streams()
            await asyncio.sleep(_CUT_SECONDS)

    async with beside(cut()):
        yield
        await asyncio.sleep(SECONDS)


@asynccontextmanager
async def _behind(lane: Lane, stage: Stage, tally: Tally) -> AsyncIterator[None]:
    """A server whose cache has stopped: listings are as they were before the change, and watches go on from there.

    Everything is listed anew at once, again and again, and by the comparison at least once.
    """
    del stage
    old = await lane.proxy.remembered(_LISTINGS)

    async def list_anew() -> None:
        while True:
            watches = lane.proxy.cut_streams(Match(watch=True))
            with lane.proxy.fault(Match(watch=True), EndWatch(410), times=watches):
                await asyncio.sleep(_LIST_ANEW_SECONDS)

    with lane.proxy.fault(_LISTINGS, old) as injection:
        async with beside(list_anew()):
            yield
            await asyncio.sleep(RESYNC_SECONDS + 1.0)
    tally.injected += injection.hits


BROKEN_WATCHES = (
    Variant(name="watches cut twice a second", upon=_cut_again_and_again),
    *(
        Variant(name=f"watches answered {status}", upon=meeting(Answer(status), match=_WATCHES))
        for status in (410, 404)
    ),
    *(
        Variant(name=f"watches ended by an ERROR event of code {code}", upon=meeting(EndWatch(code), match=_WATCHES))
        for code in (410, 500)
    ),
    Variant(name="all events lost", upon=meeting(DropEvents("."), match=_WATCHES)),
    Variant(name="events in the wrong order", upon=meeting(ReorderEvents("."), match=_WATCHES)),
    Variant(name="events 2 s late", upon=meeting(LateEvents(2.0), match=_WATCHES)),
    Variant(name="listings as they were before the change", upon=_behind),
)
_SHORT_WATCHES = frozenset({"watches answered 410", "watches ended by an ERROR event of code 500", "all events lost"})
BAD_ANSWERS = (
    *(
        Variant(
            name=f"all requests answered {status}", upon=meeting(fault, match=_EVERYTHING), lag_seconds=_LAG_SECONDS
        )
        for status, fault in (
            (429, Answer(429, retry_after=1)),
            (500, Answer(500)),
            (503, Answer(503)),
            (403, Answer(403)),
        )
    ),
    Variant(name="all requests 2 s late", upon=meeting(Delay(2.0), match=Match(watch=False)), lag_seconds=_LAG_SECONDS),
    Variant(
        name="writes carried out, and their answers lost",
        upon=meeting(LoseAnswer(), match=WRITES),
        lag_seconds=_LAG_SECONDS,
    ),
    Variant(
        name=f"no API server for {_BEYOND_DEADLINE_SECONDS:g} s",
        upon=meeting(Drop(), match=_EVERYTHING, seconds=_BEYOND_DEADLINE_SECONDS),
        lag_seconds=_LAG_SECONDS,
    ),
)
OUTAGE = Variant(
    name=f"no API server for {_OUTAGE_SECONDS:g} s",
    upon=meeting(Drop(), match=_EVERYTHING, seconds=_OUTAGE_SECONDS),
    lag_seconds=_LAG_SECONDS,
)


@dataclass(frozen=True, kw_only=True)
class BrokenWatches:
    """F2."""

    number: str = "F2"
    what: str = (
        "A pool's life while its watches are cut, answered 410 or 404, ended by an ERROR event of code 410 or 500, "
        "lose all events, deliver them in the wrong order or 2 s late; and while all listings, asked for again and "
        "again, are those from before the change. What was missed is found by the comparison, every 15 s here."
    )
    pods: bool = False
    points: None = None

    async def trials(self, ground: Ground) -> AsyncGenerator[Trial, None]:
        """Try each."""
        async with ground.lane() as lane:
            tried = [one for one in BROKEN_WATCHES if one.name in _SHORT_WATCHES or not ground.depth.short]
            strikes = ("scale-up",) if ground.depth.short else ()
            async for trial in course.run(ground, lane, tried, strikes=strikes):
                yield trial


@dataclass(frozen=True, kw_only=True)
class BadAnswers:
    """F3."""

    number: str = "F3"
    what: str = (
        "A pool's life while all requests are answered 429, 500, 503 or 403, are 2 s late, lose the answers of writes, "
        "or find nobody: 14 s in each change, and 600 s in one. The operator's process lives on, and each change ends "
        "at most 5 s later than it takes without the fault, counted from the fault's end."
    )
    pods: bool = False
    points: None = None

    async def trials(self, ground: Ground) -> AsyncGenerator[Trial, None]:
        """Try each; the long outage beside the others, on a control plane of its own."""
        outage = None if ground.depth.short else asyncio.create_task(_outage(ground))
        try:
            async with ground.lane() as lane:
                variants = BAD_ANSWERS[2:3] if ground.depth.short else BAD_ANSWERS
                strikes = ("scale-up",) if ground.depth.short else ()
                async for trial in course.run(ground, lane, variants, strikes=strikes):
                    yield trial
            if outage is not None:
                for trial in await outage:
                    yield trial
        finally:
            if outage is not None:
                outage.cancel()
                await asyncio.wait({outage})


async def _outage(ground: Ground) -> list[Trial]:
    async with ground.lane(plane=ground.plane("outage")) as lane:
        trials = course.run(ground, lane, [OUTAGE], names=("create", "scale-up"), strikes=("scale-up",))
        return [trial async for trial in trials]
