"""What is no name is refused before anything is asked, and nothing stands for all where it was typed."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from workerpool_operator.cli.main import app

WITH_A_POOL = (
    ["get"],
    ["describe"],
    ["explain"],
    ["logs"],
    ["events"],
    ["top"],
    ["checklist"],
    ["stop"],
    ["start"],
    ["restart"],
    ["drain"],
    ["silence"],
    ["init"],
    ["rollout", "get"],
    ["rollout", "history"],
    ["dlq", "list"],
    ["cost"],
    ["report"],
)


@pytest.mark.parametrize("command", WITH_A_POOL, ids=" ".join)
@pytest.mark.parametrize("name", ["", "A_b", "a/b", "-", "a.", ".a", "a" * 254])
def test_what_is_no_name_is_wrong_usage(command: list[str], name: str, tmp_path: Path) -> None:
    """An empty one is what an unset variable of a shell leaves."""
    env = {"KUBECONFIG": str(tmp_path / "none"), "NO_COLOR": "1", "COLUMNS": "300"}
    shown = CliRunner().invoke(app, [*command, "--", name], env=env)
    assert (shown.exit_code, f"{name!r} is no name" in " ".join(shown.stderr.split())) == (2, True), shown.output


def test_the_rule_that_it_breaks_is_in_the_words(tmp_path: Path) -> None:
    """Its characters alone are not the whole rule."""
    env = {"KUBECONFIG": str(tmp_path / "none"), "NO_COLOR": "1", "COLUMNS": "300"}
    shown = CliRunner().invoke(app, ["get", "a."], env=env)
    assert "'a.' is no name" in shown.stderr
    assert "begin and end with a letter or digit" in shown.stderr


@pytest.mark.parametrize("command", [["get"], ["events"], ["top"]], ids=" ".join)
def test_no_name_at_all_stands_for_all(command: list[str], tmp_path: Path) -> None:
    """It goes as far as asking the cluster."""
    shown = CliRunner().invoke(app, command, env={"KUBECONFIG": str(tmp_path / "none")})
    assert shown.exit_code == 3


@pytest.mark.parametrize("command", [["doctor"], ["ui", "--no-browser"], ["get"], ["tls"]], ids=" ".join)
@pytest.mark.parametrize("name", ["", "A_b", "a/b"])
def test_a_namespace_that_is_no_name_is_wrong_usage(command: list[str], name: str, tmp_path: Path) -> None:
    """It would ask for those of all, or for something else."""
    env = {"KUBECONFIG": str(tmp_path / "none"), "NO_COLOR": "1", "COLUMNS": "300"}
    shown = CliRunner().invoke(app, [*command, "--namespace", name], env=env)
    assert (shown.exit_code, f"{name!r} is no name" in shown.stderr) == (2, True), shown.output
