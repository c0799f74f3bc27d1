"""The commands of `wpool` that pages tell people to type: each exists, and takes what it is given there."""

import contextlib
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from workerpool_operator.cli.main import app

ROOT = Path(__file__).parents[3]
BLOCK = re.compile(r"^ *```(?:sh|bash|console)\n(.*?)^ *```", flags=re.DOTALL | re.MULTILINE)
PLACEHOLDER = re.compile(r"^\$?[A-Z]{2,}$")
FILE = re.compile(r"\b[a-z-]+\.(?:json|ya?ml|csv)\b")
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md"]


def typed(page: Path) -> list[str]:
    """Lines that begin with `wpool`, those that go on joined."""
    blocks = "\n".join(BLOCK.findall(page.read_text())).replace("\\\n", " ")
    lines = (re.sub(r"^\$ ", "", line.strip()) for line in blocks.splitlines())
    return [line for line in lines if line.startswith("wpool ")]


def understood(command: Any, words: list[str], *, parent: Any = None) -> None:
    """Parse as the program does, and run nothing; what it would refuse is raised."""
    # A group takes its own options here, and leaves the rest to the command that it names.
    context = command.make_context(command.name, list(words), parent=parent)
    if hasattr(command, "resolve_command"):
        _, inner, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        understood(inner, rest, parent=context)


@pytest.fixture
def _reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Works in a folder of their own, where the files are that a page names."""
    monkeypatch.chdir(tmp_path)


def test_what_does_not_exist_is_not_understood() -> None:
    """Neither a command nor an option, in whatever depth."""
    for line in ("explan thumbs", "explain thumbs --why", "rollout promot thumbs", "rollout promote thumbs --half"):
        with pytest.raises(Exception, match=r"(?i)no such"):
            understood(get_command(app), line.split())


@pytest.mark.usefixtures("_reader")
@pytest.mark.parametrize("page", [page for page in PAGES if typed(page)], ids=lambda page: page.name)
def test_every_command_of_a_page_is_understood(page: Path) -> None:
    """Names in capitals stand for what the reader puts in, and variables for what a page has put in them."""
    for line in typed(page):
        given = shlex.split(re.split(r"\s[|>&]", line)[0], comments=True)[1:]
        words = ["1" if word in {"RATE", "N", "SECONDS"} else PLACEHOLDER.sub("some", word) for word in given]
        for file in FILE.findall(" ".join(words)):
            Path(file).touch()
        with contextlib.suppress(typer.Exit):  # --help
            understood(get_command(app), words)
