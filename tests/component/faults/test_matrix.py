"""The fault matrix in short: `make faults` tries each fault in every change of a pool's life."""

import pytest

from e2e.cluster.controlplane import ControlPlane
from e2e.faults.matrix.catalogue import catalogue
from e2e.faults.matrix.ground import Depth, Ground
from e2e.faults.matrix.rows import Row, Verdict

pytestmark = [pytest.mark.component, pytest.mark.apiserver]


@pytest.fixture(scope="module")
def ground(plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Ground:
    """What changes come to without a fault is found out once."""
    ground = Ground(home=tmp_path_factory.mktemp("matrix"), depth=Depth(short=True))
    ground.use(plane)
    return ground


@pytest.mark.timeout(420)
@pytest.mark.parametrize("number", ["F2", "F3", "F6", "F8", "F9"])
async def test_a_fault_is_survived(number: str, ground: Ground, crds: None) -> None:
    """Missed events, an API server in trouble, two leaders, drift, lost rights: all is as it would have been."""
    async with ground:
        trials = [trial async for trial in catalogue()[number].trials(ground)]
    assert [(trial.name, trial.broken) for trial in trials if trial.broken] == []
    assert Row.of(number, trials).verdict is Verdict.HOLDS
