"""Which scenario is played with which kill, on which lane, and what came of it."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from e2e.cluster.progress import say
from e2e.faults.lane import KillPoint, Lane, Play, kind_of
from e2e.faults.places import PLACES
from e2e.faults.scenarios import SCENARIOS, Scenario

CHAINS = (SCENARIOS, PLACES)
"""Scenarios that follow each other in one namespace."""
FAULTY = tuple(scenario.name for chain in CHAINS for scenario in chain if scenario.faults)
_ATTEMPTS = 3
"""How often a write point is tried that was not reached: the number of status writes varies with timing."""
_BEYOND = 5
"""How many write points more than in the clean run are tried, as long as they are reached."""


@dataclass(kw_only=True)
class Result:
    """What came out, over all scenarios."""

    clean: dict[str, Play] = field(default_factory=dict)
    kills: list[tuple[KillPoint, Play]] = field(default_factory=list)
    """(write point, play) of each run in which the operator was killed."""
    absent: Counter[tuple[str, KillPoint]] = field(default_factory=Counter)
    """(scenario, write point) -> how often a run was over before it came to that point."""
    failed: list[Play] = field(default_factory=list)
    """Runs without a kill in which something did not hold."""

    def covered(self, scenario: str) -> set[KillPoint]:
        """The write points of a scenario after which the operator was killed."""
        return {point for point, play in self.kills if play.scenario == scenario}

    def uncovered(self, scenario: str) -> list[KillPoint]:
        """Writes of the clean run after which it was not killed: by their number, and then by their kind.

        The number of status writes varies with timing. What was not there in `_ATTEMPTS` runs is no write point.
        """
        killed = {
            kind_of(play.killed_after) for _, play in self.kills if play.scenario == scenario and play.killed_after
        }
        writes = self.clean[scenario].writes
        numbers = [number for number in range(1, len(writes) + 1) if number not in self.covered(scenario)]
        points: list[KillPoint] = [*numbers, *sorted({kind_of(write) for write in writes} - killed)]
        return [point for point in points if self.absent[scenario, point] < _ATTEMPTS]

    def total(self, scenario: str) -> int:
        """How many write points the scenario has, as far as anyone has seen."""
        return len(self.covered(scenario)) + len(self.uncovered(scenario))

    def points(self) -> tuple[int, int]:
        """How many write points there are in the scenarios that are tried, and how many were."""
        names = [name for name in FAULTY if name in self.clean]
        return sum(map(self.total, names)), sum(len(self.covered(name)) for name in names)

    @property
    def broken(self) -> list[str]:
        """A text for each run in which something did not hold."""
        kills = [(f"{play.scenario}, killed after write {at} ({play.killed_after})", play) for at, play in self.kills]
        runs = [(f"{play.scenario}, without a kill", play) for play in self.failed] + kills
        return [f"{title}: {'; '.join(play.broken)}" for title, play in runs if play.broken]

    def summary(self) -> dict[str, object]:
        """Give the figures."""
        known = [name for name in FAULTY if name in self.clean]
        times = sorted(play.seconds for _, play in self.kills if not play.broken) or [0.0]
        total, covered = self.points()
        return {
            "write_points_total": total,
            "write_points_covered": covered,
            "broken": len(self.broken),
            "converge_p50_seconds": round(statistics.median(times), 2),
            "converge_max_seconds": round(times[-1], 2),
            "scenarios": {name: {"total": self.total(name), "covered": len(self.covered(name))} for name in known},
        }


class Suite:
    """Plays the scenarios, on several lanes at once."""

    def __init__(self, lanes: Sequence[Lane], chains: Sequence[Sequence[Scenario]] = CHAINS) -> None:
        self.result = Result()
        self._lanes = lanes
        self._chains = chains
        self._scenarios: Sequence[Scenario] = ()
        self._run = f"f1-{secrets.token_hex(3)}"  # another suite may have left namespaces on this control plane
        self._numbers = itertools.count(1)

    async def run(self, *, every: int = 1) -> Result:
        """The clean runs, then the kills: after each write point, or after each `every`-th."""
        for chain in self._chains:
            self._scenarios = chain
            await self._play(every)
            if self.result.failed:
                break
        return self.result

    async def _play(self, every: int) -> None:
        """One chain, as often as it takes."""
        await self._chain(self._lanes[0])
        if self.result.failed:
            return
        longest = max(self._points(name) for name in self._faulty)
        await self._spread(
            {name: point for name in self._faulty if point <= self._points(name)}
            for point in range(1, longest + 1, every)
        )
        if every == 1:
            await self._missed()
            await self._beyond()

    @property
    def _faulty(self) -> list[str]:
        return [scenario.name for scenario in self._scenarios if scenario.faults]

    def _points(self, scenario: str) -> int:
        return len(self.result.clean[scenario].writes)

    async def _spread(self, kills: Iterable[Mapping[str, KillPoint]]) -> None:
        """Play a chain for each of these, in which the operator is killed once in each of the scenarios that it names.

        The lanes take the next as they get free.
        """
        queue = iter(kills)

        async def work(lane: Lane) -> None:
            for one in queue:
                await self._kill(lane, one)

        async with asyncio.TaskGroup() as group:
            for lane in self._lanes:
                group.create_task(work(lane))

    async def _missed(self) -> None:
        """Kill where no run got to: some have fewer writes than the clean one, or the same in another order."""
        for _ in range(_ATTEMPTS):
            points = {name: self.result.uncovered(name) for name in self._faulty}
            longest = max(map(len, points.values()))
            await self._spread(
                {name: found[number] for name, found in points.items() if number < len(found)}
                for number in range(longest)
            )

    async def _beyond(self) -> None:
        """Go on as long as runs have more writes than the clean one had."""
        names = self._faulty
        for more in range(1, 1 + _BEYOND):
            await self._spread([{name: self._points(name) + more for name in names}])
            names = [name for name in names if self._points(name) + more in self.result.covered(name)]

    async def _kill(self, lane: Lane, kills: Mapping[str, KillPoint]) -> None:
        """Kill at these points; where a chain breaks off, what it did not come to gets another chain."""
        while kills:
            reached = await self._chain(lane, kills=kills)
            if not reached:
                return  # not even the way there could be played; that is on record
            kills = {name: point for name, point in kills.items() if name not in reached}

    async def _chain(self, lane: Lane, *, kills: Mapping[str, KillPoint] | None = None) -> set[str]:
        """Play the scenarios in a new namespace up to the last that is wanted; give those of `kills` it came to."""
        reached: set[str] = set()
        async with lane.stage(f"{self._run}-{next(self._numbers):03}") as stage:
            for scenario in self._scenarios:
                point = (kills or {}).get(scenario.name)
                clean = self.result.clean.get(scenario.name)
                play = await lane.play(scenario, stage, kill_after=point, wanted=clean.state if clean else ())
                self._note(play, point)
                if point is not None:
                    reached.add(scenario.name)
                if play.broken or (kills and reached >= kills.keys()):
                    break
        return reached

    def _note(self, play: Play, point: KillPoint | None) -> None:
        if play.killed_after and point is not None:
            self.result.kills.append((point, play))
            verdict = "BROKEN: " + "; ".join(play.broken) if play.broken else "held"
            say(f"{play.scenario:15} {point:3}  {play.killed_after!s:70.70} {play.seconds:5.1f} s  {verdict}")
            return
        if point is not None and not play.broken:
            self.result.absent[play.scenario, point] += 1
        if play.broken:
            self.result.failed.append(play)
            say(f"{play.scenario}, without a kill: BROKEN: {'; '.join(play.broken)}")
        if play.scenario not in self.result.clean:
            self.result.clean[play.scenario] = play
            say(f"{play.scenario}: {len(play.writes)} write points, {play.seconds:.1f} s")
