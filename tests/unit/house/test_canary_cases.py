"""The page about the canary names a test for each of its cases, and each of them is there."""

import re
from pathlib import Path

from e2e.canary.scenarios import FAULTY, SCENARIOS

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/explanation/canary.md").read_text()
CASES = PAGE.partition("| Case | Verdict | Test |")[2].partition("\n\n")[0]


def test_each_case_names_tests_that_there_are() -> None:
    rows = [row.rpartition("| ")[2] for row in CASES.splitlines()[2:]]
    known = {f"`{name}`" for path in (ROOT / "tests/unit/domain").glob("test_*.py") for name in _tests(path)}
    for row in rows:
        unit, _, pods = row.partition("on pods ")
        named = set(re.findall(r"`test_\w+`(?!\.py)", unit)) - {"`test_steps`"}
        assert named or pods, row
        assert named <= known, named - known
        assert set(re.findall(r"`([\w-]+)`", pods)) <= {one.name for one in (*SCENARIOS, *FAULTY)}, row


def test_each_scenario_on_pods_is_a_case() -> None:
    missing = [one.name for one in (*SCENARIOS, *FAULTY) if f"`{one.name}`" not in CASES]
    assert not missing


def _tests(path: Path) -> list[str]:
    return re.findall(r"^def (test_\w+)\(", path.read_text(), re.MULTILINE)
