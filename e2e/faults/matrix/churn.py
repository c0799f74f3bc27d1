"""F12: pools come and go, for a long time."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e.faults import endstate
from e2e.faults.collector import Script
from e2e.faults.lane import Lane
from e2e.faults.matrix.ground import Ground
from e2e.faults.matrix.rows import Trial
from e2e.faults.scenarios import QUEUE, SMALL, Stage, pool_body
from e2e.support.wait import NotInTimeError, until

Json = dict[str, Any]

_POOLS, _GROWN = 10, 3
_ROUNDS, _SHORT_ROUNDS = 40, 2
_WARM_ROUNDS = 10
"""Until then caches fill."""
_GROWTH_BYTES = 8 * 2**20
_MORE_FILES = 5
_MEMORY_PAGES_FIELD = 1  # in /proc/PID/statm


@dataclass(frozen=True, kw_only=True)
class Use:
    """What the operator's process has."""

    memory: int
    """Resident, in bytes."""
    files: int
    """Open file descriptors."""

    @classmethod
    def of(cls, pid: int) -> Use:
        """Look at a process that runs."""
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[_MEMORY_PAGES_FIELD])
        return cls(memory=pages * os.sysconf("SC_PAGE_SIZE"), files=sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()))


@dataclass(frozen=True, kw_only=True)
class Churn:
    """F12."""

    number: str = "F12"
    what: str = (
        f"{_ROUNDS} times {_POOLS} new pools made, scaled up, given a new version, scaled down and deleted. After each "
        "time nothing is left of them; the "
        f"operator's memory at the end is at most {_GROWTH_BYTES // 2**20} MiB above that after {_WARM_ROUNDS} rounds, "
        f"and its open files at most {_MORE_FILES} more. Hours of it: `make soak`."
    )
    pods: bool = False
    points: None = None

    async def trials(self, ground: Ground) -> AsyncGenerator[Trial, None]:
        """One trial for each round; the last one tells of memory and files."""
        rounds = _SHORT_ROUNDS if ground.depth.short else _ROUNDS
        warm: Use | None = None
        async with ground.lane() as lane, lane.stage("churn") as stage:
            for number in range(1, rounds + 1):
                trial_broken: list[str] = []
                requests, began = lane.requests, time.monotonic()
                left = await _round(lane, stage, number, trial_broken)
                if left:
                    trial_broken.append(f"{left} objects are left of pools that were deleted")
                use = Use.of(lane.operator.pid())
                if number == min(_WARM_ROUNDS, rounds):
                    warm = use
                if number == rounds and warm is not None:
                    trial_broken += _grown(warm, use)
                yield Trial(
                    name=f"round {number}: {use.memory / 2**20:.1f} MiB, {use.files} files",
                    injected=_POOLS,
                    converged_seconds=time.monotonic() - began,
                    broken=tuple(trial_broken),
                    orphans=left,
                    api_calls=lane.requests - requests,
                )


def _grown(warm: Use, use: Use) -> list[str]:
    grown, more = use.memory - warm.memory, use.files - warm.files
    told = []
    if grown > _GROWTH_BYTES:
        told.append(f"memory grew by {grown / 2**20:.1f} MiB")
    if more > _MORE_FILES:
        told.append(f"{more} files more are open")
    return told


async def _round(lane: Lane, stage: Stage, number: int, broken: list[str]) -> int:
    try:
        return await churned(lane, stage, [f"pool-{number}-{index}" for index in range(_POOLS)])
    except NotInTimeError as error:
        broken.append(str(error))
    return len(endstate.owners(await lane.state(stage)))


async def churned(lane: Lane, stage: Stage, names: Sequence[str]) -> int:
    """Lead pools of these names, which nobody had before, through a life; gives how many objects are left of them.

    Raises:
        NotInTimeError: they do not get where they are to be.
    """
    for name in names:
        stage.collector.say(name, Script(queue=QUEUE, waiting=_GROWN))
    await asyncio.gather(*(lane.kube.create(pool_body(stage, name)) for name in names))

    async def grown() -> bool:
        return all(len(lane.witness.ready_workers(stage.namespace, name)) == _GROWN for name in names)

    async def changed() -> bool:
        pools = [await lane.kube.get(stage.ref(name)) for name in names]
        return all(_at_rest(pool, size=SMALL) for pool in pools)

    left = 0

    async def gone() -> bool:
        nonlocal left
        left = sum(1 for owner in endstate.owners(await lane.state(stage)) if owner in names)
        return left == 0

    await until(grown, seconds=60, what=f"{_GROWN} workers of each pool")
    for name in names:
        stage.collector.say(name, Script(queue=QUEUE))
    image = {"spec": {"worker": {"image": "worker:2"}}}
    await asyncio.gather(*(lane.kube.merge_patch(stage.ref(name), image) for name in names))
    await until(changed, seconds=60, what=f"{SMALL} workers of another version", pause=0.3)
    for name in names:
        stage.collector.silence(name)
    await asyncio.gather(*(lane.kube.delete(stage.ref(name)) for name in names))
    with suppress(NotInTimeError):
        await until(gone, seconds=60, what="nothing of any pool", pause=0.3)
    return left


def _at_rest(pool: Json, *, size: int) -> bool:
    status = pool.get("status", {})
    return (
        status.get("observedGeneration") == pool["metadata"]["generation"]
        and status.get("readyReplicas") == status.get("replicas") == size
        and len(status.get("versions", [])) == 1
        and any(one["type"] == "Ready" and one["status"] == "True" for one in status.get("conditions", []))
    )
