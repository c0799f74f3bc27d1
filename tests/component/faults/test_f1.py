"""F1 in short: the operator killed after some of its writes. `make faults-f1` does it after every single one."""

from pathlib import Path

import pytest

from e2e.cluster.controlplane import ControlPlane
from e2e.faults.f1 import run
from e2e.faults.places import PLACES
from e2e.faults.scenarios import SCENARIOS

pytestmark = [pytest.mark.component, pytest.mark.apiserver]

EVERY = 7
"""Which write points: few enough for some five minutes, and at least one in each scenario."""
EVERY_OF_PLACES = 9
SHORT = [scenario for scenario in SCENARIOS if scenario.name != "canary-replaced"]
"""Without one that is much like its neighbours."""


@pytest.mark.timeout(1200)
async def test_an_operator_killed_after_a_write_comes_to_the_same_end(
    plane: ControlPlane, crds: None, tmp_path: Path
) -> None:
    """Same objects, no worker made or ended needlessly, never more than the surge, never a second canary."""
    result = await run([plane], home=tmp_path, every=EVERY, chains=[SHORT])
    assert result.broken == []
    for scenario in SHORT:
        assert result.covered(scenario.name) or not scenario.faults, f"never killed in {scenario.name}"


@pytest.mark.timeout(1200)
async def test_an_operator_killed_while_it_moves_workers_between_places_comes_to_the_same_end(
    plane: ControlPlane, crds: None, tmp_path: Path
) -> None:
    """A pool gets places; its pods are preempted and find no room, and are made up for. The way back takes minutes."""
    result = await run([plane], home=tmp_path, every=EVERY_OF_PLACES, chains=[PLACES[:-1]])
    assert result.broken == []
    for scenario in ("place", "failover"):
        assert result.covered(scenario), f"never killed in {scenario}"
