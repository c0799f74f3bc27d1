"""F1 in short: the operator killed after some of its writes. `make faults-f1` does it after every single one."""

from pathlib import Path

import pytest

from e2e.cluster.controlplane import ControlPlane
from e2e.faults.f1 import run
from e2e.faults.suite import FAULTY

pytestmark = [pytest.mark.component, pytest.mark.apiserver]

EVERY = 7
"""Which write points: few enough for some four minutes, and at least one in each scenario."""


@pytest.mark.timeout(420)
async def test_an_operator_killed_after_a_write_comes_to_the_same_end(
    plane: ControlPlane, crds: None, tmp_path: Path
) -> None:
    """Same objects, no worker made or ended needlessly, never more than the surge."""
    result = await run([plane], home=tmp_path, every=EVERY)
    assert result.broken == []
    for scenario in FAULTY:
        assert result.covered(scenario), f"never killed in {scenario}"
