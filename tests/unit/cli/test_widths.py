"""What identifies a thing is never cut: neither in a pipe nor on a narrow terminal."""

import io
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.table import Table

from tests.support.pools import pool_body
from workerpool_operator.cli import describe, terminal
from workerpool_operator.cli.describe import Seen
from workerpool_operator.cli.explain.command import show as explain
from workerpool_operator.cli.explain.page import Page
from workerpool_operator.cli.terminal import Console, folding, wide

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
IMAGE = "registry.example.com/a-team-of-ours/a-service-of-theirs/thumbnails-of-pictures:2026.01.02-0a1b2c3d4e5f"
NAME = "thumbnails-of-pictures-of-the-customers-of-the-whole-world-in-two-sizes"


def body() -> dict[str, Any]:
    pool = pool_body(NAME, "a-namespace-of-a-team-of-ours", placement={"primary": {"nodeSelector": {"zone": "a"}}})
    version = {"hash": "0a1b2c3d", "revision": "4e5f60", "role": "stable", "image": IMAGE}
    told = {"type": "Ready", "status": "False", "reason": "ImagePullFailed", "message": f"no node can fetch {IMAGE}"}
    pool["status"] = {"versions": [version], "conditions": [told]}
    return pool


def squeezed(text: str) -> str:
    return "".join(text.split())


@pytest.mark.parametrize("width", [40, 80, 10_000])
def test_a_description_holds_names_and_images_in_full(width: int) -> None:
    """However narrow: it is folded."""
    console = Console(file=io.StringIO(), width=width)
    describe.show(Seen(pool=body(), pods={}, events=[]), console, now=NOW)
    assert isinstance(console.file, io.StringIO)
    said = console.file.getvalue()
    assert squeezed(f"(stable) {IMAGE}:") in squeezed(said)
    assert NAME in squeezed(said)
    assert squeezed("Place: Placed=Unknown: Unknown they belong to the primary place") in squeezed(said)
    assert max(map(len, said.splitlines())) <= width


@pytest.mark.parametrize("terminal_there", [True, False])
def test_a_table_of_short_cells_is_never_cut(
    *, terminal_there: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A terminal of 40 columns folds the line itself."""
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("NO_COLOR", "1")
    if terminal_there:
        monkeypatch.setenv("FORCE_COLOR", "1")
    table = Table("NAME", "IMAGE", box=None)
    table.add_row(NAME, IMAGE)
    wide().print(table)
    said = capsys.readouterr().out
    assert NAME in said
    assert IMAGE in said


def test_without_a_terminal_nothing_is_folded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """For `grep` a line stays one line; on a terminal it is folded within its width."""
    monkeypatch.setenv("COLUMNS", "40")
    describe.show(Seen(pool=body(), pods={}, events=[]), folding(), now=NOW)
    assert f"(stable) {IMAGE}: 0/0 ready" in capsys.readouterr().out
    monkeypatch.setattr(terminal.Console, "is_terminal", True)
    assert folding().width == 40


def test_why_a_target_says_nothing_is_not_cut() -> None:
    why = (
        "no job has ended yet, and so nobody knows for how long one takes or how many of them a worker can do at a time"
    )
    pool = body()
    pool["status"]["scaling"] = {"desired": 1, "terms": [{"name": "little", "message": why}]}
    console = Console(file=io.StringIO(), width=60)
    explain(Page.of(pool, now=NOW), console)
    assert isinstance(console.file, io.StringIO)
    words = console.file.getvalue().split()
    assert set(why.split()) <= set(words)
    assert "\u2026" not in console.file.getvalue()
