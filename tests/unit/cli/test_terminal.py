"""What others wrote cannot steer the terminal, and what cannot be a name never leaves the machine."""

import io
import re
from pathlib import Path

import pytest
from rich.table import Table
from rich.text import Text
from typer.testing import CliRunner

from workerpool_operator.cli import terminal
from workerpool_operator.cli.cluster import sentence
from workerpool_operator.cli.main import app
from workerpool_operator.cli.terminal import Console, one_line, visible
from workerpool_operator.kube import errors

COMMANDS = Path(terminal.__file__).parent
HOSTILE = "a\x1b[2Jb\x07\x9b31m\x7f\u202ec\r\udcff"


def test_control_characters_are_spelled_out() -> None:
    assert visible(HOSTILE) == "a\\x1b[2Jb\\x07\\x9b31m\\x7f\\u202ec\\x0d?"
    assert visible("two\nlines\tand äöü 日本") == "two\nlines\tand äöü 日本"
    assert one_line("two\nlines\there") == "two\\nlines here"


def test_nothing_that_is_printed_steers_the_terminal() -> None:
    """In texts, tables and plain strings; our own colours still work."""
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, color_system="standard", width=200)
    table = Table("NAME")
    table.add_row(Text(HOSTILE, style="red"))
    console.print(table)
    console.print(HOSTILE, markup=False)
    shown = out.getvalue()
    assert "\x1b[31m" in shown
    assert "\x1b[2J" not in shown
    assert not set("\x07\x9b\x7f\u202e\r") & set(shown)


MARKUP = "x[/bold] [link=https://evil.example]y[/link] [red]z :warning: \\[a]"


def test_what_others_wrote_is_no_markup() -> None:
    """An image may be called `x[/bold]`: to rich that is an end without a beginning, which it raises an error for."""
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, color_system="standard", width=200)
    table = Table("IMAGE")
    table.add_row(MARKUP)
    console.print(table)
    console.print(MARKUP, highlight=False)
    assert out.getvalue().count(MARKUP) == 2


def test_no_command_has_a_terminal_of_its_own() -> None:
    """Else what is shown would not pass what makes it harmless."""
    others = [
        path.name
        for path in COMMANDS.rglob("*.py")
        if re.search(r"from rich.console import .*\bConsole\b", path.read_text("utf-8"))
    ]
    assert others == []


@pytest.mark.parametrize("words", [["get"], ["describe"], ["events"], ["explain"], ["restart"], ["rollout", "get"]])
@pytest.mark.parametrize("name", ["..", "a/b", "\x1b[2J", "A", "x" * 254])
def test_what_cannot_be_a_name_is_refused_here(words: list[str], name: str) -> None:
    """`..` would ask for something else than a pool."""
    shown = CliRunner().invoke(app, [*words, name], env={"KUBECONFIG": "/nowhere", "NO_COLOR": "1"})
    assert (shown.exit_code, "\x1b" in shown.output) == (2, False)
    assert "no name" in shown.output


@pytest.mark.parametrize(
    "words", [["get"], ["describe", "a"], ["events"], ["top"], ["doctor"], ["rollout", "get", "a"]]
)
def test_without_a_cluster_a_sentence_says_what_to_do(words: list[str], tmp_path: Path) -> None:
    shown = CliRunner().invoke(app, words, env={"KUBECONFIG": str(tmp_path / "none")})
    assert shown.exit_code == 3
    assert "kubectl config get-contexts" in shown.stderr
    assert "Traceback" not in shown.output


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (errors.KindNotServed("get x", status=404), "Is the operator installed"),
        (errors.NotFound("get x", status=404), "wpool get --all-namespaces"),
        (errors.NotFound("get x", status=404, resource="workerpools"), "wpool get --all-namespaces"),
        (
            errors.NotFound("get x", status=404, resource="deployments"),
            "`kubectl get deployments --all-namespaces` shows",
        ),
        (errors.NotFound("get x", status=404, resource="namespaces"), "`kubectl get namespaces` shows"),
        (errors.Forbidden('User "eve" cannot get', status=403), 'you may not do this: User "eve" cannot get'),
        (errors.Unauthorized("get x", status=401), "Log in again"),
        (errors.Unavailable("get x: refused"), "https://here the cluster that you mean"),
        (errors.Conflict("patch x", status=409), "Somebody else changed"),
    ],
)
def test_a_refusal_says_what_to_do(error: errors.KubeError, words: str) -> None:
    assert words in sentence(error, server="https://here")
