"""F10: a node is lost, with workers, the leader and a collector on it; real pods."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from e2e.failover.play import Row, play, values
from e2e.faults.matrix import many
from e2e.faults.matrix.ground import Ground
from e2e.faults.matrix.rows import Trial
from e2e.scene import new_scene
from e2e.support.stack import Stack


@dataclass(frozen=True, kw_only=True)
class Nodes:
    """F10."""

    number: str = "F10"
    what: str = (
        "A node stopped as by a power cut, with all workers of a pool, the leader and one of two collectors on it, or "
        "the only one, while jobs run; and brought back (`make e2e-failover`). API calls and duplicates are not "
        f"counted there. And of {2 * many.NODES} fake nodes (KWOK) {many.NODES} lost at once, with {many.WORKERS} "
        "workers. Time to converge: from the loss until a job is begun elsewhere; of the fake nodes until all workers "
        "run there."
    )
    pods: bool = True
    points: None = None

    async def trials(self, ground: Ground) -> AsyncGenerator[Trial, None]:
        """Each once: it takes minutes."""
        if not ground.depth.short:
            yield await many.lose_half(ground)
        for collectors in () if ground.depth.short else (2, 1):
            yield _trial(await asyncio.to_thread(_play, collectors))


def _play(collectors: int) -> Row:
    stack = Stack.ensure(values=values(collectors))
    with new_scene(stack, redis_node=stack.cluster.nodes[0]) as scene:
        return play(scene, collectors=collectors)


def _trial(row: Row) -> Trial:
    return Trial(
        name=f"a node lost and brought back, collectors: {row.collectors}",
        converged_seconds=row.failover_seconds,
        broken=() if row.ok else (f"not as it has to be: {row}",),
        jobs_lost=row.jobs_lost,
    )
