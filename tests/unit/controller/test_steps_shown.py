"""What the metrics say of a rollout."""

import math
from typing import Any

from tests.unit.domain.test_versions import SHORT, canary, running
from workerpool_operator.controller.shown import canary_series
from workerpool_operator.domain.plan import plan
from workerpool_operator.metrics import CanarySeries


def shown(**rollout: Any) -> CanarySeries:
    """Of a pool that has just begun to try a version."""
    found = canary_series(plan(running(canary(**rollout))).versions)
    assert found is not None
    assert found.step == 1
    return found


def test_how_long_a_step_is_to_last_is_shown() -> None:
    """So that one that takes its time is told from one that is stuck."""
    assert shown().step_seconds == 10
    waits = [{**SHORT[0], "pause": True}, SHORT[1]]
    assert shown(steps=waits).step_seconds == math.inf
