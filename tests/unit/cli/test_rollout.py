"""`wpool rollout`: which version a command is for, what is shown, and a cluster that cannot be asked."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from workerpool_operator.cli.cluster import TroubleError
from workerpool_operator.cli.main import app
from workerpool_operator.cli.rollout.command import lines, meant


def pool(generation: int = 3, **rollout: Any) -> dict[str, Any]:
    return {"metadata": {"generation": generation}, "status": {"observedGeneration": 3, "rollout": rollout}}


def test_a_command_is_for_the_version_that_is_tried() -> None:
    assert meant(pool(stable="a1", wanted="a2", canary="a2")) == "a2"


def test_without_a_canary_a_command_is_for_the_version_that_the_pool_asks_for() -> None:
    assert meant(pool(stable="a1", wanted="a2")) == "a2"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"metadata": {"generation": 1}, "status": {"observedGeneration": 1}}, "strategy to Canary"),
        ({"metadata": {"generation": 1}}, "strategy to Canary"),
        (pool(generation=4, stable="a1"), "try again in a moment"),
    ],
)
def test_a_command_that_could_hit_another_version_is_not_written(body: dict[str, Any], says: str) -> None:
    with pytest.raises(TroubleError, match=says):
        meant(body)


def test_a_rollout_is_shown_in_lines_without_what_is_unset() -> None:
    shown = lines({"stable": "a1", "canary": "a2", "step": 1, "failures": 0, "ratio": "1.2", "rejected": ["a0", "a3"]})
    assert [" ".join(line.split()) for line in shown] == [
        "stable a1",
        "canary a2",
        "step 1",
        "ratio 1.2",
        "rejected a0, a3",
    ]


def test_an_unknown_verb_is_wrong_usage() -> None:
    shown = CliRunner().invoke(app, ["rollout", "thumbs", "destroy"])
    assert shown.exit_code == 2
    assert "promote-full" in shown.stderr.replace("\n", "")


def test_without_a_cluster_a_sentence_says_so(tmp_path: Path) -> None:
    shown = CliRunner().invoke(app, ["rollout", "thumbs"], env={"KUBECONFIG": str(tmp_path / "none")})
    assert shown.exit_code == 3
    assert "Traceback" not in shown.stderr
