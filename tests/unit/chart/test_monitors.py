"""What the chart's monitors let workers and collectors say: all that is theirs, and nothing of the others'."""

import re
from collections.abc import Iterable
from typing import Final

from prometheus_client import Metric

from scripts import metrics_page
from scripts.plain import CHART

TEMPLATE: Final = (CHART / "templates" / "monitoring.yaml").read_text()
WORKERS, COLLECTORS = re.findall(r'regex: "(.*)"', TEMPLATE)
"""Dropped of workers, kept of collectors."""
TWO_SAY_IT: Final = {"queue_depth"}
"""In a pool it is the collector's."""


def names(families: Iterable[Metric]) -> set[str]:
    """As they are scraped."""
    return {sample.name for family in families for sample in family.samples}


def test_what_workers_say_is_kept_and_what_others_say_is_dropped() -> None:
    theirs, own = names([*metrics_page.operator(), *metrics_page.collector()]), names(metrics_page.worker())
    assert min(len(theirs), len(own)) > 20
    assert {name for name in theirs if not re.fullmatch(WORKERS, name)} == set()
    assert {name for name in own if re.fullmatch(WORKERS, name)} == TWO_SAY_IT


def test_what_collectors_say_is_kept_and_what_the_operator_says_is_not() -> None:
    found = names(metrics_page.collector())
    assert {name for name in found if not re.fullmatch(COLLECTORS, name)} == set()
    assert {name for name in names(metrics_page.operator()) if re.fullmatch(COLLECTORS, name)} == set()
