"""A new version is tried on a part of the jobs: a good one takes over, a bad one goes by itself, and no job is lost."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from e2e.canary.scenarios import SCENARIOS, Scenario, play
from e2e.scene import Scene


@pytest.mark.timeout(900)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_version_gets_what_it_deserves_and_no_job_is_lost(scene: Scene, scenario: Scenario) -> None:
    """In time: at most twice what the judge's table says."""
    row = play(scenario, scene)
    assert row.ok, asdict(row)
