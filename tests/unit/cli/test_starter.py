"""`wpool init` and `wpool completion`."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from workerpool_operator.api import KIND
from workerpool_operator.api.crd import POOL
from workerpool_operator.cli.completion import for_kubectl
from workerpool_operator.cli.lint.read import documents
from workerpool_operator.cli.main import app
from workerpool_operator.cli.starter import Broker

NAMES = ("on", "null", "1", "1e3", "a.b", "-", "a" * 47, "a" * 48)
IMAGES = ("{a: b}", "a:1 # b", "'a'", '"', "*a", "a:\x07", "a\n", "\ud800", "a\\b", "yes", "1.10", "ü:1", "\U0001f600")


@pytest.mark.parametrize("broker", list(Broker))
def test_what_is_written_is_valid_as_it_stands(broker: Broker, tmp_path: Path) -> None:
    """Without a warning, and so are the credentials that stand in it as a comment."""
    file = tmp_path / "pool.yaml"
    made = CliRunner().invoke(app, ["init", "thumbs", "--broker", broker.value, "--output", str(file)])
    assert made.exit_code == 0
    assert KIND in file.read_text("utf-8")
    assert CliRunner().invoke(app, ["lint", "--strict", str(file)]).exit_code == 0
    file.write_text(file.read_text("utf-8").replace("# credentials", "credentials").replace("#   ", "  "), "utf-8")
    assert CliRunner().invoke(app, ["lint", "--strict", str(file)]).exit_code == 0


def test_it_can_go_into_a_pipe() -> None:
    made = CliRunner().invoke(app, ["init", "thumbs", "--image", "registry.example/thumbs:2"])
    checked = CliRunner().invoke(app, ["lint", "-"], input=made.stdout)
    assert checked.stdout == "-: WorkerPool thumbs: valid\n"
    assert "registry.example/thumbs:2" in made.stdout


def test_a_file_is_not_overwritten_without_a_word(tmp_path: Path) -> None:
    file = tmp_path / "pool.yaml"
    file.write_text("mine", "utf-8")
    refused = CliRunner().invoke(app, ["init", "--output", str(file)])
    assert (refused.exit_code, file.read_text("utf-8")) == (2, "mine")
    assert "say --yes" in refused.stderr
    assert CliRunner().invoke(app, ["init", "--output", str(file), "--yes"]).exit_code == 0
    assert file.read_text("utf-8") != "mine"


@given(
    name=st.one_of(st.text(max_size=8), st.from_regex(r"[a-z0-9.-]{1,64}", fullmatch=True), st.sampled_from(NAMES)),
    image=st.one_of(
        st.text(max_size=8), st.from_regex(r"[a-z0-9.:@/-]{1,20}", fullmatch=True), st.sampled_from(IMAGES)
    ),
    broker=st.sampled_from(Broker),
)
def test_what_is_written_is_valid_whatever_was_typed(name: str, image: str, broker: Broker) -> None:
    """And says what was typed; or nothing is written, and one sentence says why."""
    made = CliRunner().invoke(app, ["init", "--broker", broker.value, "--image", image, "--", name])
    if made.exit_code:
        assert (made.exit_code, made.stdout, "Traceback" in made.output) == (2, "", False)
        return
    [one] = documents(made.stdout)
    assert (one.body["metadata"]["name"], one.body["spec"]["worker"]["image"]) == (name, image)
    checked = CliRunner().invoke(app, ["lint", "--strict", "-"], input=made.stdout)
    assert checked.exit_code == 0, checked.output


@pytest.mark.parametrize("name", ["on", "1", "1e3", "0x1f", "null", "a" * 47])
def test_names_that_yaml_would_take_for_something_else_are_in_quotes(name: str) -> None:
    made = CliRunner().invoke(app, ["init", name])
    assert yaml.safe_load(made.stdout)["metadata"]["name"] == name


@pytest.mark.parametrize("name", ["a.b", "a" * 60])
def test_a_name_is_refused_in_the_api_servers_words(name: str) -> None:
    shown = CliRunner().invoke(app, ["init", name], env={"COLUMNS": "300"})
    assert (shown.exit_code, shown.stdout) == (2, "")
    assert POOL.name_rule.message in shown.stderr


@pytest.mark.parametrize(
    "words", [["a.b/c"], ["--image", "a b"], ["--image", "a\nb: c"], ["--output", "/no/such/dir/f"]]
)
def test_what_cannot_be_is_refused(words: list[str]) -> None:
    shown = CliRunner().invoke(app, ["init", *words])
    assert (shown.exit_code, "Traceback" in shown.output) == (2, False)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_its_script(shell: str) -> None:
    shown = CliRunner().invoke(app, ["completion", shell])
    assert shown.exit_code == 0
    assert "_WPOOL_COMPLETE" in shown.stdout


def test_the_scripts_questions_are_answered() -> None:
    """As bash asks them."""
    env = {"_WPOOL_COMPLETE": "complete_bash", "COMP_WORDS": "wpool roll", "COMP_CWORD": "1"}
    shown = CliRunner().invoke(app, [], prog_name="wpool", env=env)
    assert shown.stdout.split() == ["rollout"]


@pytest.mark.parametrize(
    ("typed", "lines"),
    [
        (["roll"], ["rollout", ":4"]),
        (["rollout", "pro"], ["promote", ":4"]),
        (["get", "--out"], ["--output", ":4"]),
        (["get", "-o", "wi"], ["wide", ":4"]),
        (["rollout", "nothing"], [":0"]),
        (["lint", ""], [":0"]),
    ],
)
def test_kubectl_is_told_what_completes_the_last_word(
    typed: list[str], lines: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each with what it means behind a tab, and last what the shell shall do: complete files, or not."""
    monkeypatch.setattr("sys.argv", ["kubectl_complete-wpool", *typed])
    for_kubectl()
    assert [line.partition("\t")[0] for line in capsys.readouterr().out.splitlines()] == lines


def test_no_name_is_completed_where_there_is_no_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Without a word, and not even on the standard error of the process that asks."""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.setattr("sys.argv", ["kubectl_complete-wpool", "explain", ""])
    for_kubectl()
    assert capfd.readouterr() == (":0\n", "")
