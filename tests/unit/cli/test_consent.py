"""What is asked before it is done: the same by the commands and by the page; and what a dry run is for."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.support.pools import pool_body
from workerpool_operator.cli import cluster
from workerpool_operator.cli.consent import QUESTIONS, question
from workerpool_operator.cli.main import app
from workerpool_operator.ui.verbs import buttons

ASKED = (
    ["stop", "thumbs"],
    ["restart", "thumbs"],
    ["migrate", "thumbs", "--to", "secondary"],
    ["reassign", "thumbs", "--primary", "zone=a"],
    ["rollout", "abort", "thumbs"],
    ["rollout", "undo", "thumbs"],
    ["rollout", "promote", "thumbs", "--full"],
    ["dlq", "purge", "thumbs"],
    ["dlq", "redrive", "thumbs"],
    ["dlq", "redrive", "thumbs", "--queue", "main"],
)
NOT_ASKED = (
    ["start", "thumbs"],
    ["throttle", "thumbs", "5"],
    ["throttle", "thumbs", "--off"],
    ["rollout", "promote", "thumbs"],
    ["rollout", "pause", "thumbs"],
    ["rollout", "resume", "thumbs"],
    ["rollout", "retry", "thumbs"],
    ["dlq", "redrive", "thumbs", "--job", "7"],
    ["dlq", "redrive", "thumbs", "--reason", "expired"],
    ["dlq", "redrive", "thumbs", "--version", "51b0ffe3"],
)
NOBODY_CAN_BE_ASKED = "say --yes"


def run(words: list[str], folder: Path, said: str = "") -> Result:
    """Without a cluster: who comes as far as asking it exits with 3."""
    env = {"KUBECONFIG": str(folder / "none"), "COLUMNS": "300", "NO_COLOR": "1"}
    return CliRunner().invoke(app, words, input=said, env=env)


@pytest.mark.parametrize("words", ASKED, ids=" ".join)
def test_without_a_terminal_and_without_yes_it_is_wrong_usage(words: list[str], tmp_path: Path) -> None:
    shown = run(words, tmp_path)
    assert (shown.exit_code, NOBODY_CAN_BE_ASKED in shown.stderr) == (2, True)


@pytest.mark.parametrize("word", ["--yes", "--dry-run"])
@pytest.mark.parametrize("words", ASKED, ids=" ".join)
def test_who_says_yes_and_who_only_rehearses_is_not_asked(words: list[str], word: str, tmp_path: Path) -> None:
    assert run([*words, word], tmp_path).exit_code == 3


@pytest.mark.parametrize("words", NOT_ASKED, ids=" ".join)
def test_what_another_word_undoes_at_once_is_not_asked(words: list[str], tmp_path: Path) -> None:
    """And can be rehearsed as well."""
    assert run(words, tmp_path).exit_code == 3
    assert run([*words, "--dry-run"], tmp_path).exit_code == 3


@pytest.mark.parametrize(("said", "code"), [("n\n", 1), ("y\n", 3)])
def test_a_person_is_asked(said: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "somebody_is_there", lambda: True)
    shown = run(["stop", "thumbs"], tmp_path, said)
    assert question("stop", pool="thumbs") in shown.output
    assert (shown.exit_code, "nothing was done" in shown.stderr) == (code, code == 1)


def test_the_page_asks_what_the_commands_ask_and_nothing_else() -> None:
    """With the same words; every question is one that a button or a command has."""
    places = {"primary": {"nodeSelector": {"zone": "a"}}, "secondary": {"nodeSelector": {"zone": "b"}}}
    pool = pool_body(placement=places)
    pool["status"] = {"rollout": {"stable": "aa", "wanted": "bb", "canary": "bb"}}
    found = {button.verb: button.confirm for button in buttons(pool)}
    name = pool["metadata"]["name"]
    assert {verb: confirm for verb, confirm in found.items() if confirm} == {
        "stop": question("stop", pool=name),
        "hold-size": question("hold-size", pool=name),
        "restart": question("restart", pool=name),
        "migrate-secondary": question("migrate", pool=name, place="secondary"),
        "reassign": question("reassign", pool=name),
        "abort": question("abort", pool=name, version="bb"),
        "promote-full": question("promote-full", pool=name, version="bb"),
    }
    silent = {"promote", "pause", "throttle", "drain-node"}  # the last is asked by the server: it knows who is there
    assert {verb for verb, confirm in found.items() if not confirm} == silent
    asked = {verb.removesuffix("-secondary") for verb, confirm in found.items() if confirm}
    without_button = {"undo", "drain", "redrive", "purge"}
    by_server = {"drain-node", "cordon-node"}
    assert set(QUESTIONS) - asked == without_button | by_server, "which the page has no button for, or asks itself"
