"""When handlers count as slow: against their own times of a day before, and in none of a pool's ordinary days."""

from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.component.alerts.cases import POOL, minutes
from tests.component.alerts.handlers import CHANGE, DAY, handlers
from tests.component.alerts.promtool import Case, Series, judge

pytestmark = [pytest.mark.component, pytest.mark.promtool]

ROOT: Final = Path(__file__).parents[3]
GROUPS: Final = yaml.safe_load((ROOT / "charts" / "workerpool-operator" / "alerts.yaml").read_text())["groups"]
RULES: Final[dict[str, Any]] = {"groups": [group for group in GROUPS if group["name"] == "workerpool.times"]}
END: Final = minutes(CHANGE + 40)
BEGUN: Final = minutes(CHANGE)
TOLD: Final = [POOL | {"severity": "warning"}]

SLOW: Final[dict[str, tuple[Series, ...]]] = {
    "a version that is slower than the one before": (
        *handlers(0.4, seen=range(BEGUN)),
        *handlers(1.2, since=BEGUN, seen=range(BEGUN, END + 1), pod="w1", version="b"),
    ),
    "all in the same bucket as before": handlers(70, later=200),
    "one job in eight takes ten times as long": (*handlers(0.4, per_second=7), *handlers(0.4, later=4, pod="w1")),
    "one lane of two": (*handlers(0.4, later=2), *handlers(0.4, lane="thread", per_second=20)),
}
ORDINARY: Final[dict[str, tuple[Series, ...]]] = {
    "a version like the one before": (
        *handlers(0.4, seen=range(BEGUN)),
        *handlers(0.4, since=BEGUN, seen=range(BEGUN, END + 1), pod="w1", version="b"),
    ),
    "scale-in": (*handlers(0.4), *handlers(0.4, seen=range(BEGUN), pod="w1", per_second=9)),
    "zero, for a night": handlers(0.4, seen={*range(minutes(600)), *range(minutes(1200), END + 1)}),
    "zero at this time of yesterday": handlers(0.4, later=4, seen=range(minutes(180), END + 1)),
    "a pool that did not exist yesterday": handlers(0.4, later=4, since=minutes(DAY), seen=range(BEGUN, END + 1)),
    "too few jobs to tell": handlers(0.4, later=4, per_second=0.05),
    "not half as slow again, over the bound of a bucket": handlers(0.4, later=0.58),
    "times that nobody notices": handlers(0.004, later=0.03),
    "faster": handlers(4, later=0.4),
}


@pytest.mark.parametrize("series", SLOW.values(), ids=SLOW.keys())
def test_what_has_become_slow_is_told(series: tuple[Series, ...], tmp_path: Path) -> None:
    """Within half an hour, once, and not before."""
    case = Case(series=series, seconds=END, alert="JobsSlow", firing={BEGUN: [], minutes(CHANGE + 30): TOLD})
    verdict = judge(RULES, case, folder=tmp_path)
    assert verdict.as_expected, verdict.text


@pytest.mark.parametrize("series", ORDINARY.values(), ids=ORDINARY.keys())
def test_an_ordinary_day_is_not(series: tuple[Series, ...], tmp_path: Path) -> None:
    """At no time of it."""
    firing: dict[int, list[Any]] = {minutes(at): [] for at in (60, 610, 1205, 1220, *range(DAY, CHANGE + 41, 5))}
    verdict = judge(RULES, Case(series=series, seconds=END, alert="JobsSlow", firing=firing), folder=tmp_path)
    assert verdict.as_expected, verdict.text


def test_slower_jobs_are_the_usual_ones_a_day_later(tmp_path: Path) -> None:
    """It ends by itself: those who meant it need not silence it."""
    firing = {minutes(CHANGE + 30): TOLD, minutes(CHANGE + DAY + 90): []}
    case = Case(series=handlers(0.4, later=2), seconds=max(firing), alert="JobsSlow", firing=firing)
    verdict = judge(RULES, case, folder=tmp_path)
    assert verdict.as_expected, verdict.text
