"""F1: the operator killed after each of its writes, as `make faults-f1` does it, as a row of the matrix."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

from e2e.faults import f1
from e2e.faults.lane import Play
from e2e.faults.matrix.course import needless, orphans
from e2e.faults.matrix.ground import Ground
from e2e.faults.matrix.rows import Trial
from e2e.faults.places import PLACES
from e2e.faults.scenarios import SCENARIOS, Scenario
from e2e.faults.suite import CHAINS, Result

_LANES = ((SCENARIOS, 2), (PLACES, 1))
"""Each chain has its own, so many. That of places waits most of the time: it costs little beside the other one."""


@dataclass(kw_only=True)
class Exhaustive:
    """F1. In the short form nothing: `tests/component/faults/test_f1.py` is its own."""

    number: str = "F1"
    what: str = (
        "The operator killed by SIGKILL after each single write, in: create, scale up and down, version change, canary "
        "promoted, canary step, a canary's place taken by another, rollback, every move into, within and out of mode "
        "hpa, delete, a stuck worker restarted, and of a pool with places: the move there, failover and failback. At "
        "no moment are workers asked for of a second canary, but of one that was given up until the next one's is "
        "ready. Times count from the kill."
    )
    pods: bool = False
    points: tuple[int, int] | None = None
    _scenarios: dict[str, Scenario] = field(default_factory=lambda: {one.name: one for each in CHAINS for one in each})

    async def trials(self, ground: Ground) -> AsyncGenerator[Trial, None]:
        """All of them; they are given when all are over, since what a write point is shows only then."""
        if ground.depth.short:
            return
        results = await asyncio.gather(
            *(self._run(ground, number, chain, lanes) for number, (chain, lanes) in enumerate(_LANES))
        )
        found = [result.points() for result in results]
        self.points = total, covered = sum(one for one, _ in found), sum(one for _, one in found)
        for result in results:
            for play in result.failed:
                yield self._trial(play, "without a kill")
            for point, play in result.kills:
                yield self._trial(play, f"killed after write {point}")
        if covered < total:
            yield Trial(name="write points", injected=0, broken=(f"{total - covered} were not tried",))

    async def _run(self, ground: Ground, number: int, chain: Sequence[Scenario], lanes: int) -> Result:
        planes = [ground.plane(f"f1-{number}-{lane}") for lane in range(lanes)]
        return await f1.run(planes, home=ground.home / f"chain-{number}", chains=[chain])

    def _trial(self, play: Play, how: str) -> Trial:
        scenario = self._scenarios[play.scenario]
        return Trial(
            name=f"{play.scenario}, {how}",
            injected=int(play.killed_after is not None),
            converged_seconds=None if play.broken else play.seconds,
            broken=tuple(play.broken),
            orphans=orphans(play.state, scenario),
            needless_restarts=needless(play, scenario),
            api_calls=play.requests,
        )
