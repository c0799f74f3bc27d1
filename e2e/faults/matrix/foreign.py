"""F4: others write to the same objects."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from e2e.faults.inject import Answer
from e2e.faults.lane import Lane
from e2e.faults.matrix import course
from e2e.faults.matrix.api import SECONDS, WRITES, beside, meeting
from e2e.faults.matrix.course import Tally, Variant
from e2e.faults.matrix.ground import Ground
from e2e.faults.matrix.rows import Trial
from e2e.faults.scenarios import Stage
from workerpool_operator.kube import ObjectRef, errors, kinds, ref_of

Json = dict[str, Any]

_LABEL = "elsewhere.example/seen"
_PAUSE_SECONDS = 0.2
_TOUCHED = (
    kinds.WORKER_POOL,
    kinds.DEPLOYMENT,
    kinds.CONTROLLER_REVISION,
    kinds.POD_DISRUPTION_BUDGET,
    kinds.CONFIG_MAP,
    kinds.NETWORK_POLICY,
)
_COUNT = 20


@asynccontextmanager
async def _somebody_else(lane: Lane, stage: Stage, tally: Tally) -> AsyncIterator[None]:
    """Changes a label of its own on all objects, again and again; the operator's writes leave it as it is."""
    count = 0

    async def write() -> None:
        nonlocal count
        while True:
            count += 1
            tally.injected += len(await label(lane, stage, str(count)))
            await asyncio.sleep(_PAUSE_SECONDS)

    async with beside(write()):
        yield
        await asyncio.sleep(SECONDS)
    marked = await label(lane, stage, "last")
    await asyncio.sleep(SECONDS)
    tally.broken += await lost(lane, marked)
    await label(lane, stage, None)


async def label(lane: Lane, stage: Stage, value: str | None) -> dict[str, ObjectRef]:
    """Set this label on every object of the namespace, or take it away: uid -> object, of those that are there."""
    marked = {}
    for kind in _TOUCHED:
        for body in await lane.kube.list(kind, namespace=stage.namespace).all():
            with suppress(errors.NotFound):
                await lane.kube.merge_patch(ref_of(body), {"metadata": {"labels": {_LABEL: value}}})
                marked[body["metadata"]["uid"]] = ref_of(body)
    return marked


async def lost(lane: Lane, marked: dict[str, ObjectRef]) -> list[str]:
    """Which of these, if they are still there, have lost the label."""
    found = []
    for uid, ref in marked.items():
        with suppress(errors.NotFound):
            metadata = (await lane.kube.get(ref))["metadata"]
            if metadata["uid"] == uid and _LABEL not in metadata.get("labels", {}):
                found.append(f"{ref.kind.kind} {ref.name} lost somebody else's label")
    return found


VARIANTS = (
    Variant(name="all writes answered 409", upon=meeting(Answer(409), match=WRITES)),
    Variant(name="somebody labels all objects five times a second", upon=_somebody_else),
)


@dataclass(frozen=True, kw_only=True)
class ForeignWriters:
    """F4."""

    number: str = "F4"
    what: str = (
        "A pool's life while all writes are answered 409, and while somebody else sets a label on all of its objects "
        "five times a second: the label stays. At rest, twenty such changes cost the operator no write."
    )
    pods: bool = False
    points: None = None

    async def trials(self, ground: Ground) -> AsyncGenerator[Trial, None]:
        """Try each."""
        async with ground.lane() as lane:
            async for trial in course.run(ground, lane, VARIANTS[1:] if ground.depth.short else VARIANTS):
                yield trial
            yield await _at_rest(ground, lane)


async def _at_rest(ground: Ground, lane: Lane) -> Trial:
    """Somebody writes to a pool that is at rest: nothing follows from that."""
    async with course.resting(ground, lane) as stage:
        lane.proxy.writes.reset()
        before, struck = lane.proxy.requests, 0
        for number in range(_COUNT):
            marked = await label(lane, stage, str(number))
            struck += len(marked)
            await asyncio.sleep(_PAUSE_SECONDS)
        await asyncio.sleep(1.0)
        writes = [str(write) for write in lane.proxy.writes.seen if f"/{stage.namespace}/" in write.target]
        return Trial(
            name="somebody labels all objects, at rest",
            injected=struck,
            broken=(*_told(writes), *await lost(lane, marked)),
            api_calls=lane.proxy.requests - before,
        )


def _told(writes: Iterable[str]) -> list[str]:
    return [f"the operator answered with {write}" for write in writes]
