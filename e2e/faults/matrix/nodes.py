"""F10: a node is lost, with workers, the leader and a collector on it; real pods."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from e2e.failover.__main__ import VALUES
from e2e.failover.play import Row, play
from e2e.faults.matrix.ground import Ground
from e2e.faults.matrix.rows import Trial
from e2e.scene import new_scene
from e2e.support.stack import Stack


@dataclass(frozen=True, kw_only=True)
class Nodes:
    """F10."""

    number: str = "F10"
    what: str = (
        "A node stopped as by a power cut, with all workers of a pool, the leader and one of two collectors on it, "
        "while jobs run; and brought back (`make e2e-failover`). Time to converge: from the loss until a job is begun "
        "elsewhere. API calls and duplicates are not counted there."
    )
    pods: bool = True
    points: None = None

    async def trials(self, ground: Ground) -> AsyncGenerator[Trial, None]:
        """Once: it takes minutes."""
        if not ground.depth.short:
            yield _trial(await asyncio.to_thread(_play))


def _play() -> Row:
    stack = Stack.ensure(values=VALUES)
    with new_scene(stack, redis_node=stack.cluster.nodes[0]) as scene:
        return play(scene)


def _trial(row: Row) -> Trial:
    return Trial(
        name="a node lost and brought back",
        converged_seconds=row.failover_seconds,
        broken=() if row.ok else (f"not as it has to be: {row}",),
        jobs_lost=row.jobs_lost,
    )
