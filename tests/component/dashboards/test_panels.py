"""Each panel's queries, asked of a real Prometheus that has seen every metric there is: none may come back empty."""

import math
import re
from collections.abc import Iterator
from typing import Any

import pytest

from scripts.dashboards import ALL, Dashboard, Panel, Query
from scripts.dashboards.model import ANNOTATIONS
from tests.component.dashboards.history import COLLECTORS, HANDED_OVER, SECONDS
from tests.component.dashboards.server import Prometheus, serving

pytestmark = [pytest.mark.component, pytest.mark.promtool]

PAGES = [page for page in ALL if page.of_pools]
LOOKBACK = 300
"""Seconds for which Prometheus goes on showing what is no longer said."""
PARTS = "workerpool_jobs_interrupted_total"
"""Each worker speaks to one collector, so of these the two have parts."""
PANELS = [pytest.param(panel, id=f"{page.name}: {panel.title}") for page in ALL for panel in page.panels]


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """One for all."""
    with serving(tmp_path_factory.mktemp("prometheus")) as found:
        yield found


def numbers(series: list[dict[str, Any]]) -> list[float]:
    return [float(value) for one in series for _, value in one["values"]]


def by_labels(series: list[dict[str, Any]]) -> dict[frozenset[tuple[str, str]], list[Any]]:
    """The values of each series."""
    return {frozenset(one["metric"].items()): one["values"] for one in series}


def without(query: Query, pods: str) -> Query:
    """The same, of all but these."""
    return Query(query.expression.replace("{POOL", f'{{POOL,pod!~"{pods}"'))


@pytest.mark.parametrize("panel", PANELS)
def test_every_query_of_a_panel_has_data(prometheus: Prometheus, panel: Panel) -> None:
    """Numbers, not only series: a share of nothing is not a number."""
    for query in panel.queries:
        found = prometheus.series(query)
        assert any(math.isfinite(number) for number in numbers(found)), query.promql


@pytest.mark.parametrize("panel", PANELS)
def test_every_series_of_a_panel_has_a_name_of_its_own(prometheus: Prometheus, panel: Panel) -> None:
    """A legend names only labels that are there, and tells the series of its query apart."""
    for query in panel.queries:
        found = [one["metric"] for one in prometheus.series(query)]
        labels = re.findall(r"{{(\w+)}}", query.legend)
        assert all(label in one for one in found for label in labels), (query.legend, found)
        if query.legend:
            assert len({tuple(one[label] for label in labels) for one in found}) == len(found), (query.legend, found)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_second_collector_changes_no_number(prometheus: Prometheus, page: Dashboard) -> None:
    """It reads the same queues as the first one."""
    for query in [query for panel in page.panels for query in panel.queries if PARTS not in query.expression]:
        first = without(query, f"collector-.*-{COLLECTORS - 1}")
        assert by_labels(prometheus.series(query)) == by_labels(prometheus.series(first)), query.promql


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_two_leaders_say_is_not_added_up(prometheus: Prometheus, page: Dashboard) -> None:
    """While one goes and another one comes, no number is far larger than what one of them says.

    Of each pool the larger number is shown, and the one that goes says what was true some minutes ago.
    """
    begin = prometheus.end - SECONDS + HANDED_OVER

    def numbers_of(query: Query) -> dict[frozenset[tuple[str, str]], float]:
        found = by_labels(prometheus.series(query))
        return {
            key: max((float(value) for at, value in values if begin <= at <= begin + LOOKBACK), default=0.0)
            for key, values in found.items()
        }

    queries = [query for panel in page.panels for query in panel.queries]
    for query in [one for one in queries if not re.search(r"rate\(|increase\(", one.expression)]:
        old, new = (numbers_of(without(query, pod)) for pod in ("operator-1", "operator-0"))
        for key, number in numbers_of(query).items():
            if math.isfinite(number):
                assert number <= 1.5 * max(old.get(key, 0.0), new.get(key, 0.0)), (query.promql, key)


@pytest.mark.parametrize(("name", "query"), [(name, query) for name, _, query, _ in ANNOTATIONS])
def test_what_happened_is_marked(prometheus: Prometheus, name: str, query: Query) -> None:
    """Within two hours a version came and was rejected: marked when it happened, and not all the time."""
    marked = prometheus.series(query)
    assert marked, name
    assert all(len(one["values"]) <= 3 for one in marked)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_is_chosen_holds_for_every_query(prometheus: Prometheus, page: Dashboard) -> None:
    """Of a pool that is not there nothing is shown; what counts may say 0."""
    for query in [query for panel in page.panels for query in panel.queries]:
        assert not any(numbers(prometheus.series(query, pool="none"))), query.promql
