"""The hosted workflows, as far as they can be checked without being run: names, pins, rights."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yaml"))
PINNED = re.compile(r"^[\w.-]+/[\w./-]+@[0-9a-f]{40}$")


def steps(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
class TestWorkflow:
    def test_calls_only_targets_of_the_makefile(self, path: Path) -> None:
        targets = set(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
        commands = [step["run"] for step in steps(yaml.safe_load(path.read_text())) if "run" in step]
        assert {name for command in commands for name in re.findall(r"\bmake ([a-z0-9-]+)", command)} <= targets

    def test_pins_what_it_uses_by_commit(self, path: Path) -> None:
        """A tag can be moved; and the comment behind says which version the commit is."""
        uses = [step["uses"] for step in steps(yaml.safe_load(path.read_text())) if "uses" in step]
        assert [name for name in uses if not PINNED.match(name)] == []
        assert len(re.findall(r"uses: \S+@[0-9a-f]{40} # v\d", path.read_text())) == len(uses)

    def test_may_only_read_and_ends_by_itself(self, path: Path) -> None:
        workflow = yaml.safe_load(path.read_text())
        assert workflow["permissions"] == {"contents": "read"}
        assert [name for name, job in workflow["jobs"].items() if "timeout-minutes" not in job] == []

    def test_hands_no_event_text_to_a_shell(self, path: Path) -> None:
        commands = [step["run"] for step in steps(yaml.safe_load(path.read_text())) if "run" in step]
        assert [command for command in commands if "${{" in command] == []


def test_the_versions_of_python_are_those_of_the_package() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yaml").read_text())
    tested = workflow["jobs"]["unit"]["strategy"]["matrix"]["python"]
    [(lowest, beyond)] = re.findall(
        r'^requires-python = ">=3\.(\d+),<3\.(\d+)"', (ROOT / "pyproject.toml").read_text(), flags=re.MULTILINE
    )
    assert tested == [f"3.{minor}" for minor in range(int(lowest), int(beyond))]
