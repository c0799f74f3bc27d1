"""The dashboards' files: what Grafana needs to show them, and what a reader needs to understand them."""

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from scripts.dashboards import ALL
from scripts.dashboards.model import COLUMNS, Kind, Panel, Query, Unit

ROOT = Path(__file__).parents[3]
FILES = sorted((ROOT / "charts" / "workerpool-operator" / "dashboards").glob("*.json"))
OWED = {"executive", "on-call", "debug", "canary", "scaling", "operator", "cost"}


def load(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def area(panel: dict[str, Any]) -> set[tuple[int, int]]:
    place = panel["gridPos"]
    columns, rows = range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
    return {(column, row) for column in columns for row in rows}


def test_every_dashboard_that_is_owed_is_there() -> None:
    """Each by its name, and each with an address of its own in Grafana."""
    assert {path.stem for path in FILES} == OWED
    assert len({load(path)["uid"] for path in FILES}) == len(OWED)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
class TestFile:
    def test_panels_have_places_of_their_own(self, path: Path) -> None:
        """None covers another one or hangs over the edge, and no two have the same number."""
        panels = load(path)["panels"]
        assert len({panel["id"] for panel in panels}) == len(panels)
        assert all(0 <= panel["gridPos"]["x"] <= COLUMNS - panel["gridPos"]["w"] for panel in panels)
        assert not any(area(one) & area(other) for one, other in combinations(panels, 2))

    def test_panels_explain_themselves(self, path: Path) -> None:
        """Title, a sentence and a unit; queries have letters of their own."""
        panels = [panel for panel in load(path)["panels"] if panel["type"] != "row"]
        assert panels
        for panel in panels:
            assert panel["title"]
            assert panel["description"].endswith((".", "."))
            assert panel["fieldConfig"]["defaults"]["unit"]
            letters = [target["refId"] for target in panel["targets"]]
            assert letters == sorted(set(letters))

    def test_nothing_is_bound_to_one_grafana(self, path: Path) -> None:
        """The data source is chosen on the page, and every variable in use is there."""
        text, page = path.read_text(), load(path)
        variables = {one["name"] for one in page["templating"]["list"]}
        sources = [target["datasource"]["uid"] for panel in page["panels"] for target in panel.get("targets", ())]
        assert set(sources) == {"${datasource}"}
        assert all(f"${name}" not in text or name in variables for name in ("namespace", "pool"))
        assert all("$namespace" in one["expr"] for one in page["annotations"]["list"])


@pytest.mark.parametrize("panel", [panel for page in ALL for panel in page.panels if panel.runbook])
def test_every_runbook_that_is_linked_is_there(panel: Any) -> None:
    """Else the link ends nowhere."""
    assert (ROOT / "docs" / "runbooks" / f"{panel.runbook}.md").is_file()


def test_what_is_left_is_red_below_its_bound_and_may_be_less_than_nothing() -> None:
    """What is counted is red above one, and begins at zero."""
    drawn = Panel(title="Left", about=".", unit=Unit.SHARE, queries=(Query("left"),), warn_below=0.1, least=None)
    counted = Panel(title="Bad", about=".", unit=Unit.WHOLE, queries=(Query("bad"),), kind=Kind.NUMBER, warn_at=3)
    left, bad = (one.to_json(number=1, x=0, y=0, width=8)["fieldConfig"]["defaults"] for one in (drawn, counted))
    assert left["thresholds"]["steps"] == [{"color": "red", "value": None}, {"color": "green", "value": 0.1}]
    assert ("min" in left, left["custom"]["thresholdsStyle"]) == (False, {"mode": "line"})
    assert bad["thresholds"]["steps"] == [{"color": "green", "value": None}, {"color": "red", "value": 3}]
    assert bad["min"] == 0
