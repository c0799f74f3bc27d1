"""A play: what is broken is put back, whatever happens."""

import asyncio
import itertools
from dataclasses import dataclass, field, replace

import pytest

from workerpool_operator.cli.chaos.judge import Sight, Tally
from workerpool_operator.cli.chaos.play import Play
from workerpool_operator.cli.chaos.table import SCENARIOS, Scenario
from workerpool_operator.cli.cluster import TroubleError

LASTS = replace(SCENARIOS["network-delay"], recovers_within=8)
HEALS = replace(SCENARIOS["operator-killed"], recovers_within=8)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What holds for a moment holds, in a test."""
    for module in ("judge", "play"):
        monkeypatch.setattr(f"workerpool_operator.cli.chaos.{module}.HOLD_SECONDS", 0.1)
    monkeypatch.setattr("workerpool_operator.cli.chaos.play.CALM_SECONDS", 0.1)


@dataclass
class Stage:
    """Hands, eyes and jobs in one; what is broken shows in what is seen."""

    said: list[str] = field(default_factory=list)
    broken: bool = False
    refuses: bool = False
    ill: bool = False
    """The pool is never well."""
    idle: bool = False
    heals_after: int = 3
    victims: frozenset[str] = frozenset()
    struck: asyncio.Event = field(default_factory=asyncio.Event)
    mending: asyncio.Event | None = None
    _done: "itertools.count[int]" = field(default_factory=itertools.count)
    _looks: int = 0

    async def strike(self) -> str:
        self.said.append("strike")
        self.broken = True
        self.struck.set()
        if self.refuses:
            raise TroubleError("no right")
        return "broken by a test"

    async def healed(self) -> bool:
        self._looks += 1
        return self._looks > self.heals_after

    async def took(self) -> bool | None:
        return self.broken

    async def mend(self) -> None:
        if self.mending:
            await self.mending.wait()
        self.said.append("mend")
        self.broken = False

    async def look(self) -> Sight:
        now = asyncio.get_running_loop().time()
        workers = {} if self.ill else {"a": 0}
        return Sight(now, ready=True, reachable=True, desired=1, workers=workers)

    @property
    def done(self) -> float | None:
        return 0.0 if self.idle else float(next(self._done))

    async def finish(self, *, seconds: float) -> Tally | None:
        self.said.append("count")
        return Tally(enqueued=9, lost=0, duplicated=0, interrupted=0)


def play(stage: Stage, scenario: Scenario) -> Play:
    return Play(
        scenario=scenario,
        hands=stage,
        eyes=stage,
        jobs=stage,
        seconds=0.2,
        tell=lambda _: None,
        steady_within=60,
        look_every=0.05,
    )


@pytest.mark.parametrize("scenario", [LASTS, HEALS], ids=lambda one: one.name)
async def test_it_is_broken_put_back_and_counted_in_this_order(scenario: Scenario) -> None:
    stage = Stage()
    row = await play(stage, scenario).run()
    assert stage.said == ["strike", "mend", "count"]
    assert row.ok, row.observed
    assert row.observed.startswith("broken by a test; ")


@pytest.mark.parametrize("stage", [Stage(ill=True), Stage(idle=True)], ids=["ill", "idle"])
async def test_what_is_not_well_is_not_broken(stage: Stage) -> None:
    """Nor a pool without work: nothing could be seen there."""
    with pytest.raises(TroubleError, match="nothing was broken: there is no steady state"):
        await replace(play(stage, LASTS), steady_within=0.2).run()
    assert stage.said == []


async def test_half_a_stroke_is_put_back() -> None:
    stage = Stage(refuses=True)
    with pytest.raises(TroubleError, match="no right"):
        await play(stage, LASTS).run()
    assert stage.said == ["strike", "mend"]
    assert not stage.broken


async def test_a_cancelled_play_puts_back_and_a_second_one_waits_for_that() -> None:
    """Ctrl-C, and once more from an impatient person."""
    stage = Stage(mending=asyncio.Event())
    running = asyncio.create_task(replace(play(stage, LASTS), seconds=60).run())
    await stage.struck.wait()
    running.cancel()
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.sleep(0.01)
    assert stage.mending is not None
    assert not running.done()
    stage.mending.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert stage.said == ["strike", "mend"]


async def test_what_does_not_heal_in_time_is_told() -> None:
    stage = Stage(heals_after=10_000)
    row = await play(stage, replace(HEALS, recovers_within=0.2)).run()
    assert not row.ok
    assert row.recovered_seconds is None
