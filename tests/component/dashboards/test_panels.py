"""Each panel's queries, asked of a real Prometheus that has seen every metric there is: none may come back empty."""

import math
import re
from collections.abc import Iterator
from typing import Any

import pytest

from scripts.dashboards import ALL, Dashboard, Panel, Query
from scripts.dashboards.model import ANNOTATIONS
from tests.component.dashboards.server import Prometheus, serving

pytestmark = [pytest.mark.component, pytest.mark.promtool]

PANELS = [pytest.param(panel, id=f"{page.name}: {panel.title}") for page in ALL for panel in page.panels]


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """One for all."""
    with serving(tmp_path_factory.mktemp("prometheus")) as found:
        yield found


def numbers(series: list[dict[str, Any]]) -> list[float]:
    return [float(value) for one in series for _, value in one["values"]]


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


@pytest.mark.parametrize(("name", "query"), [(name, query) for name, _, query, _ in ANNOTATIONS])
def test_what_happened_is_marked(prometheus: Prometheus, name: str, query: Query) -> None:
    """Within two hours a version came and was rejected: marked when it happened, and not all the time."""
    marked = prometheus.series(query)
    assert marked, name
    assert all(len(one["values"]) <= 3 for one in marked)


@pytest.mark.parametrize("page", [page for page in ALL if page.of_pools], ids=lambda page: page.name)
def test_what_is_chosen_holds_for_every_query(prometheus: Prometheus, page: Dashboard) -> None:
    """Of a pool that is not there nothing is shown; what counts may say 0."""
    for query in [query for panel in page.panels for query in panel.queries]:
        assert not any(numbers(prometheus.series(query, pool="none"))), query.promql
