"""A pool's life under a fault: made, scaled up and down, given a new version, tried as a canary, deleted.

Each change is made while the fault is in force, as in F1 each is made while the operator dies. The yardstick is the
same: the end state of this change without a fault, as many workers made and ended as then, no worker at work touched.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

from e2e.cluster.base import ClusterError
from e2e.cluster.processes import DaemonDiedError
from e2e.faults import endstate
from e2e.faults.lane import Lane, Play
from e2e.faults.matrix.ground import Ground
from e2e.faults.matrix.rows import Trial
from e2e.faults.scenarios import SCENARIOS, Scenario, Stage

_FULL = ("create", "scale-up", "scale-down", "version-change", "canary", "add-neighbour", "delete")
_SHORT = ("create", "scale-up", "scale-down")


@dataclass(kw_only=True)
class Tally:
    """What a fault notes while it is in force."""

    injected: int = 0
    broken: list[str] = field(default_factory=list)


Upon: TypeAlias = Callable[[Lane, Stage, Tally], AbstractAsyncContextManager[object]]
"""In force while the context lasts; the change is made in it, and the fault's end is the context's."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One way in which a fault shows."""

    name: str
    upon: Upon
    survives: bool = True
    """The operator's process lives through it; else the fault ends it."""
    lag_seconds: float | None = None
    """The change may end so much later, counted from the fault's end, than it takes without a fault."""


async def run(
    ground: Ground,
    lane: Lane,
    variants: Sequence[Variant],
    *,
    names: Sequence[str] = (),
    strikes: Sequence[str] = (),
) -> AsyncGenerator[Trial, None]:
    """Lead a pool through its life once for each variant, or through the changes of these names.

    With `strikes`, the fault strikes in these changes alone, and the last of them is the last.
    """
    scenarios = chain(names or (_SHORT if ground.depth.short else _FULL))
    while strikes and scenarios[-1].name not in strikes:
        scenarios.pop()
    await _learn(ground, lane, scenarios)
    for variant in variants:
        async with lane.stage(f"matrix-{secrets.token_hex(3)}") as stage:
            for scenario in scenarios:
                if not scenario.faults or (strikes and scenario.name not in strikes):
                    await _play_well(ground, lane, stage, scenario)
                    continue
                trial = await _try(ground, lane, stage, scenario=scenario, variant=variant)
                yield trial
                if trial.broken:
                    lane.operator.start()  # unless it runs
                    break  # what follows would start from something else


@asynccontextmanager
async def resting(ground: Ground, lane: Lane) -> AsyncIterator[Stage]:
    """Give a stage with one pool that has been made and is at rest."""
    [create] = scenarios = chain(_SHORT[:1])
    await _learn(ground, lane, scenarios)
    async with lane.stage(f"matrix-{secrets.token_hex(3)}") as stage:
        await _play_well(ground, lane, stage, create)
        yield stage


def chain(names: Sequence[str]) -> list[Scenario]:
    """Give the scenarios of F1 that have these names, in its order."""
    return [scenario for scenario in SCENARIOS if scenario.name in names]


def orphans(state: Sequence[str], scenario: Scenario) -> int:
    """How many objects belong to a pool that is not there any more."""
    return sum(1 for pool in endstate.owners(state) if pool not in scenario.sizes)


def needless(play: Play, scenario: Scenario) -> int:
    """How many workers were made or ended beyond what the change takes."""
    return max(0, play.created - scenario.created) + max(0, play.deleted - scenario.deleted)


async def _learn(ground: Ground, lane: Lane, scenarios: Sequence[Scenario]) -> None:
    """Play them without a fault, unless that has been done.

    Raises:
        ClusterError: that did not end as it should, so nothing can be compared with it.
    """
    if all(scenario.name in ground.clean for scenario in scenarios):
        return
    async with lane.stage(f"clean-{secrets.token_hex(3)}") as stage:
        for scenario in scenarios:
            play = await lane.play(scenario, stage)
            if play.broken:
                raise ClusterError(f"{scenario.name}, without a fault: {'; '.join(play.broken)}")
            ground.clean[scenario.name] = play


async def _play_well(ground: Ground, lane: Lane, stage: Stage, scenario: Scenario) -> None:
    """Make a change without a fault, for what comes after it.

    Raises:
        ClusterError: that did not end as it should.
    """
    play = await lane.play(scenario, stage, wanted=ground.clean[scenario.name].state)
    if play.broken:
        raise ClusterError(f"{scenario.name}, without a fault: {'; '.join(play.broken)}")


async def _try(ground: Ground, lane: Lane, stage: Stage, *, scenario: Scenario, variant: Variant) -> Trial:
    tally, clean = Tally(), ground.clean[scenario.name]
    pid = lane.operator.pid()
    play = await lane.play(scenario, stage, during=variant.upon(lane, stage, tally), wanted=clean.state)
    broken = [*play.broken, *tally.broken, *(_ended(lane, pid) if variant.survives else [])]
    lag = play.seconds - clean.seconds
    if variant.lag_seconds is not None and lag > variant.lag_seconds:
        broken.append(f"{lag:.1f} s later than without the fault, not within {variant.lag_seconds:g} s")
    if not tally.injected:
        broken.append("the fault never struck")
    return Trial(
        name=f"{variant.name}, {scenario.name}",
        injected=tally.injected,
        converged_seconds=None if play.broken else play.seconds,
        broken=tuple(broken),
        orphans=orphans(play.state, scenario),
        needless_restarts=needless(play, scenario),
        api_calls=play.requests,
    )


def _ended(lane: Lane, pid: int) -> list[str]:
    try:
        return [] if lane.operator.pid() == pid else ["the operator was started anew"]
    except DaemonDiedError as error:
        return [str(error)]
