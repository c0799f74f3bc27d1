"""A new version is tried on a part of the jobs: a good one takes over, a bad one goes by itself, and no job is lost."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from e2e.canary.scenarios import FAULTY, SCENARIOS, Scenario, play
from e2e.scene import Scene, new_scene
from e2e.support.stack import Stack


@pytest.mark.timeout(900)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_version_gets_what_it_deserves_and_no_job_is_lost(scene: Scene, scenario: Scenario) -> None:
    """In time: at most twice what the judge's table says."""
    row = play(scenario, scene)
    assert row.ok, asdict(row)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("scenario", FAULTY, ids=lambda scenario: scenario.name)
def test_what_happens_to_the_cluster_in_the_middle_changes_no_verdict(stack: Stack, scenario: Scenario) -> None:
    """The operator killed in each step, and a node lost in one: the rollout goes on, and no job is lost."""
    if len(stack.cluster.nodes) < 2:
        pytest.skip("needs a second node")
    with new_scene(stack, redis_node=stack.cluster.nodes[0]) as scene:
        row = play(scenario, scene)
    assert row.ok, asdict(row)
