"""`wpool adopt`: what is refused before any cluster is asked."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from workerpool_operator.cli.adopt.queues import EXAMPLE
from workerpool_operator.cli.main import app


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["thumbs", "--queue", EXAMPLE], "only a Deployment can be adopted"),
        (["statefulset/thumbs", "--queue", EXAMPLE], "only a Deployment can be adopted"),
        (["deployment/a b", "--queue", EXAMPLE], "is no name"),
        (["deployment/thumbs"], "no Deployment tells its queue"),
        (["deployment/thumbs", "--queue", "sqs"], "begins with one of"),
        (["deployment/thumbs", "--queue", EXAMPLE, "--dry-run"], "--dry-run is for --apply"),
        (["deployment/thumbs", "--queue", EXAMPLE, "--max", "0"], "--max"),
    ],
)
def test_wrong_usage_is_told_and_asks_nothing(words: list[str], told: str, tmp_path: Path) -> None:
    """There is no cluster here that could be asked."""
    shown = CliRunner().invoke(
        app, ["adopt", *words], env={"KUBECONFIG": str(tmp_path / "none"), "NO_COLOR": "1", "COLUMNS": "300"}
    )
    assert shown.exit_code == 2
    assert told in " ".join(shown.stderr.split())


def test_without_a_cluster_a_sentence_says_so(tmp_path: Path) -> None:
    """And no traceback."""
    words = ["adopt", "deployment/thumbs", "--queue", EXAMPLE]
    shown = CliRunner().invoke(app, words, env={"KUBECONFIG": str(tmp_path / "none")})
    assert shown.exit_code == 3
    assert "wpool adopt:" in shown.stderr
