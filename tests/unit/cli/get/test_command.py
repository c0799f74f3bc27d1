"""`wpool get`: wrong usage, and a cluster that cannot be asked."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from workerpool_operator.cli.main import app


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["a", "--all-namespaces"], "choose them by"),
        (["a", "--selector", "x=y"], "choose them by"),
        (["--watch"], "name it"),
        (["a", "b", "--watch"], "name it"),
        (["a", "--watch", "--output", "json"], "leave --output out"),
        (["--output", "xml"], "xml"),
    ],
)
def test_wrong_usage_is_said(arguments: list[str], says: str) -> None:
    shown = CliRunner().invoke(app, ["get", *arguments], env={"COLUMNS": "200"})
    assert shown.exit_code == 2
    assert says in shown.stderr


def test_without_a_cluster_a_sentence_says_so(tmp_path: Path) -> None:
    shown = CliRunner().invoke(app, ["get"], env={"KUBECONFIG": str(tmp_path / "none")})
    assert shown.exit_code == 3
    assert "there is no such file; name one in KUBECONFIG" in shown.stderr
    assert "Traceback" not in shown.stderr
