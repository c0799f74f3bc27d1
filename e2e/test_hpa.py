"""Mode hpa: an HPA sets the size, the operator zero and everything that must not go wrong. One test a scenario."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from e2e.cluster.arguments import Extra
from e2e.cluster.controlplane import ControlPlane
from e2e.faults.f1 import install
from e2e.hpa import on_plane, on_pods
from e2e.hpa.on_plane import PLANE_SCENARIOS, PlaneScenario
from e2e.hpa.on_pods import POD_SCENARIOS, ROUND_TRIP, PodScenario
from e2e.hpa.record import Record, table
from e2e.scene import Scene

PlaneFor = Callable[[PlaneScenario], ControlPlane]


@pytest.mark.core
def test_an_hpa_and_the_operator_share_the_way_from_zero_and_back(scene: Scene) -> None:
    """0 -> N -> M -> 0 with jobs, none of which is lost or interrupted."""
    _check(on_pods.play(ROUND_TRIP, scene))


@pytest.mark.parametrize(
    "scenario", [one for one in POD_SCENARIOS if one is not ROUND_TRIP], ids=lambda scenario: scenario.name
)
def test_on_pods(scene: Scene, scenario: PodScenario) -> None:
    """What a user sees and does."""
    _check(on_pods.play(scenario, scene))


@pytest.mark.parametrize("scenario", PLANE_SCENARIOS, ids=lambda scenario: scenario.name)
async def test_on_a_control_plane(plane_for: PlaneFor, scenario: PlaneScenario, tmp_path: Path) -> None:
    """What the cluster does, and others in it."""
    _check(await on_plane.play(scenario, plane_for(scenario), home=tmp_path))


@pytest.fixture(scope="module")
def plane_for(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlaneFor]:
    """A control plane with the scenario's feature gates; scenarios with the same ones share it."""
    planes: dict[tuple[tuple[str, bool], ...], ControlPlane] = {}
    with ExitStack() as stack:

        def find(scenario: PlaneScenario) -> ControlPlane:
            key = tuple(scenario.gates.items())
            if key not in planes:
                extra, home = Extra(feature_gates=scenario.gates), tmp_path_factory.mktemp("plane")
                plane = stack.enter_context(ControlPlane(name="hpa", data_dir=home, extra=extra))
                install(plane)
                planes[key] = plane
            return planes[key]

        yield find


def _check(record: Record) -> None:
    assert record.ok, table([record])
