"""All commands of `wpool`: each says what it does, with an example that it would take, and stands in the reference."""

import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from workerpool_operator.cli.main import PLACES, app

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "cli.md"


def commands(group: Any, above: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    found = {}
    for name, command in group.commands.items():
        found[(*above, name)] = command
        if hasattr(command, "commands"):
            found |= commands(command, (*above, name))
    return found


FOUND = commands(typer.main.get_command(app))
WORDS = list(FOUND)


def examples(words: tuple[str, ...]) -> list[list[str]]:
    """The words of each example, those of pipes and redirections left out."""
    lines = [line.strip().removesuffix("\\") for line in (FOUND[words].epilog or "").splitlines()]
    found = [line for line in lines if line.startswith("wpool ")]
    return [list(shlex.shlex(line, posix=True, punctuation_chars="|>")) for line in found]


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_help_says_what_a_command_does(words: tuple[str, ...]) -> None:
    """In the terminal, by `--help` and by `-h`."""
    shown = CliRunner().invoke(app, [*words, "--help"], env={"NO_COLOR": "1", "TERM": "dumb"})
    assert shown.exit_code == 0
    assert (FOUND[words].help or "").split()[0] in shown.stdout
    assert CliRunner().invoke(app, [*words, "-h"]).exit_code == 0


@pytest.mark.parametrize("name", PLACES)
def test_the_list_of_commands_says_of_each_how_its_help_begins(name: str) -> None:
    """It is written there as well, so that the list is had without the commands."""
    begins = " ".join((FOUND[name,].help or "").split())
    assert begins.startswith(PLACES[name].summary.removesuffix("."))


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_a_command_has_an_example_of_words_that_it_knows(words: tuple[str, ...]) -> None:
    """An option that was renamed must not live on in an example."""
    found = examples(words)
    owners = [max((one for one in WORDS if tuple(example[1 : 1 + len(one)]) == one), key=len) for example in found]
    assert any(own[: len(words)] == words for own in owners), "no example"
    for own, example in zip(owners, found, strict=True):
        known = {option for parameter in FOUND[own].params for option in (*parameter.opts, *parameter.secondary_opts)}
        end = next((at for at, word in enumerate(example) if word in {"|", ">", "||"}), len(example))
        used = {word.partition("=")[0] for word in example[1:end] if word.startswith("--")}
        assert used <= known, example


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_a_command_is_in_the_reference(words: tuple[str, ...]) -> None:
    assert f"# `wpool {' '.join(words)}`\n" in PAGE.read_text("utf-8")


@pytest.mark.parametrize("words", [one for one in WORDS if len(one) == 1], ids=" ".join)
def test_exit_codes_are_told(words: tuple[str, ...]) -> None:
    assert "Exit codes: 0 " in " ".join((FOUND[words].help or "").split())


def test_kubectl_finds_it_as_a_plugin() -> None:
    """kubectl runs an executable called kubectl-wpool for `kubectl wpool`; the package installs it."""
    text = (PAGE.parents[2] / "pyproject.toml").read_text("utf-8")
    assert 'kubectl-wpool = "workerpool_operator.cli.start:wpool"' in text
    assert 'kubectl_complete-wpool = "workerpool_operator.cli.start:completing_for_kubectl"' in text


def test_a_value_that_is_none_of_those_that_there_are_is_told_without_the_librarys_words() -> None:
    shown = CliRunner().invoke(app, ["get", "--output", "xml"], env={"COLUMNS": "200", "NO_COLOR": "1"})
    assert shown.exit_code == 2
    assert "'xml' is not one of 'table', 'wide'" in shown.stderr
    assert "Value error" not in shown.stderr
