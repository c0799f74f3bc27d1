"""F5: workers die at work, and so does their broker: the storm, as a row of the matrix."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

from e2e.faults.matrix.ground import Ground
from e2e.faults.matrix.rows import Trial
from e2e.faults.plights.play import PLIGHTS, Plight, play
from e2e.faults.storm.brokers import BROKERS
from e2e.faults.storm.driver import Plan, Storm

_PLAN = Plan()
_SHORT = Plan(jobs=100, kills=2, workers=2)


@dataclass(frozen=True, kw_only=True)
class Workers:
    """F5, as far as processes show it."""

    number: str = "F5"
    what: str = (
        f"The storm above: with each broker {_PLAN.jobs:,} jobs, {_PLAN.kills} workers killed at work by SIGKILL, the "
        "broker killed at half time and started on its files. A job counts as duplicated whose handler came to its end "
        "twice; guarded by `job.once`, none has its effect twice, or the run counts as a failure. Then, with Redis and "
        "a played node, a job that ends its worker each time (as one does that takes all memory), one that blocks its "
        "worker's loop for good, and one that takes 70 s: the first is dead after five attempts, the second costs one "
        "restart within two minutes, by the liveness probe, the third none. Times to converge are of these. Workers "
        "that are alive and take nothing are a test of their own: `e2e/test_stuck.py`."
    )
    pods: bool = False
    points: None = None

    async def trials(self, ground: Ground) -> AsyncGenerator[Trial, None]:
        """One storm for each broker, then single jobs that are bad for their worker."""
        names = ["sqlite"] if ground.depth.short else list(BROKERS)
        for name in names:
            folder = ground.home / f"storm-{name}"
            folder.mkdir()
            yield await asyncio.to_thread(_blow, name, folder, _SHORT if ground.depth.short else _PLAN)
        for plight in PLIGHTS[:1] if ground.depth.short else PLIGHTS:
            folder = ground.home / plight.type
            folder.mkdir()
            yield await _befall(plight, folder, broker="sqlite" if ground.depth.short else "redis")


async def _befall(plight: Plight, folder: Path, *, broker: str) -> Trial:
    with BROKERS[broker](folder) as served:
        outcome = await play(plight, served, folder)
    return Trial(
        name=plight.name,
        converged_seconds=outcome.seconds,
        broken=outcome.broken,
        jobs_lost=outcome.lost,
        jobs_duplicated=outcome.duplicates,
    )


def _blow(name: str, folder: Path, plan: Plan) -> Trial:
    with BROKERS[name](folder) as broker:
        storm = Storm(name=name, broker=broker, plan=plan, folder=folder)
        try:
            asyncio.run(storm.run())
            row = storm.row()
        finally:
            storm.close()
    return Trial(
        name=name,
        injected=row.kills + row.broker_restarts,
        broken=tuple(row.broken(plan)),
        jobs_lost=row.lost,
        jobs_duplicated=row.duplicates,
    )
