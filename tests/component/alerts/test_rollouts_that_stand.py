"""When a rollout that stays in its step is told of, and when it does as it was told."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from tests.component.alerts.cases import POOL, minutes, steps
from tests.component.alerts.installation import gauge
from tests.component.alerts.promtool import Case, Labels, Series, Values, judge
from tests.component.alerts.test_nobody_is_woken import RULES

pytestmark = [pytest.mark.component, pytest.mark.promtool]

GROUP: Final[dict[str, Any]] = {"groups": [one for one in RULES["groups"] if one["name"] == "workerpool.rollout"]}
"""The others would be evaluated for days, too."""
HOUR: Final = 60
ALWAYS: Final = steps((0, 1))
HALF: Final = minutes(12 * HOUR)
FIRST, THEN = steps((0, 1), (HALF, None)), steps((0, None), (HALF, 1))


def tried(
    version: str = "b2", *, there: Values = ALWAYS, leader: str = "o0", lasts: float = 1800
) -> tuple[Series, ...]:
    """A version in its first step, which is to last for so many seconds, as this leader tells while it is `there`."""

    def measured(now: int) -> float | None:
        return None if there(now) is None else lasts

    return (
        gauge("workerpool_canary_info", there, version=version, verdict="Pass", pod=leader),
        gauge("workerpool_canary_step", there, pod=leader),
        gauge("workerpool_canary_step_seconds", measured, pod=leader),
    )


def stuck(*series: Series, hours: dict[float, bool]) -> Case:
    """Whether it is told after so many hours."""
    told: Sequence[Labels] = [{**POOL, "severity": "warning"}]
    firing = {minutes(hour * HOUR): told if fires else [] for hour, fires in hours.items()}
    return Case(series=series, seconds=max(firing), alert="RolloutStuck", firing=firing)


NEVER: Final = {12.1: False, 23.9: False, 24.1: False, 30.0: False}

CASES: Final[dict[str, Case]] = {
    "a day": stuck(*tried(), hours={12.1: False, 23.9: False, 24.1: True, 30.0: True}),
    "a day, and two operators that led": stuck(
        *tried(there=FIRST), *tried(there=THEN, leader="o1"), hours={23.9: False, 24.1: True}
    ),
    "another version that is tried": stuck(*tried("b2", there=FIRST), *tried("c3", there=THEN), hours=NEVER),
    "a step that is to last for a day": stuck(*tried(lasts=86_400), hours=NEVER),
    "a step that waits for a person": stuck(*tried(lasts=float("inf")), hours=NEVER),
    "a step that is to last for a day, and has lasted for eight": stuck(
        *tried(lasts=86_400), hours={191.9: False, 192.1: True}
    ),
}


@pytest.mark.timeout(600)  # eight days are 23,000 evaluations
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_rollout_is_stuck_after_a_day_in_a_step_that_is_not_meant_to_last(case: Case, tmp_path: Path) -> None:
    """And one that is, after eight."""
    verdict = judge(GROUP, case, folder=tmp_path)
    assert verdict.as_expected, verdict.text
