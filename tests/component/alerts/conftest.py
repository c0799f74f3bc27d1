"""What is printed at the end: which alerts were judged, and in how many cases each fired or was silent."""

from collections import Counter
from collections.abc import Callable

import pytest

from tests.component.alerts.installation import Story
from tests.component.alerts.promtool import Case

PROPERTY = "alert"
FIRES, SILENT = "fires", "is silent"


@pytest.fixture(autouse=True)
def _judged(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> None:
    """Note which alert the test is about, and whether it fires in the test's case."""
    callspec = getattr(request.node, "callspec", None)
    params = callspec.params if callspec and "would_fail" not in request.node.name else {}
    case = params.get("case")
    if isinstance(params.get("story"), Story):
        fires = "fires" in request.node.name
        record_property(PROPERTY, (params["name"], FIRES if fires else SILENT))
    elif isinstance(case, Case):
        record_property(PROPERTY, (case.alert, FIRES if any(case.firing.values()) else SILENT))
    elif "firing" in params:
        record_property(
            PROPERTY, (params.get("alert", "CanaryRejected"), FIRES if any(params["firing"].values()) else SILENT)
        )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A line for each alert, and one for all."""
    judged = Counter(
        value
        for report in terminalreporter.getreports("passed")
        for name, value in report.user_properties
        if name == PROPERTY and report.when == "call"
    )
    alerts = sorted({alert for alert, _ in judged})
    if not alerts:
        return
    terminalreporter.section("alerts")
    for alert in alerts:
        terminalreporter.write_line(
            f"{alert:<24} fires in {judged[alert, FIRES]:>2}, silent in {judged[alert, SILENT]:>2} cases"
        )
    terminalreporter.write_line(f"{len(alerts)} alerts, {judged.total()} cases")
