"""Each command of `wpool` that asks a cluster is tried on a real one, and the table that says where is true.

That each has help with an example and stands in the reference is in tests/unit/cli/test_commands.py.
"""

import ast
from pathlib import Path
from typing import Any

import typer

from e2e.cli import LOCAL, TRIED
from workerpool_operator.cli.main import app

E2E = Path(__file__).parents[3] / "e2e"


def commands(group: Any, above: str = "") -> set[str]:
    """Those that do something: `dlq list`, and not `dlq`."""
    found = set[str]()
    for name, command in group.commands.items():
        words = f"{above} {name}".strip()
        found |= commands(command, words) if hasattr(command, "commands") else {words}
    return found


def functions_of(path: Path) -> set[str]:
    return {one.name for one in ast.parse(path.read_text()).body if isinstance(one, ast.FunctionDef)}


def test_every_command_is_tried_on_a_real_cluster_or_asks_none() -> None:
    assert commands(typer.main.get_command(app)) == TRIED.keys() | LOCAL
    assert not TRIED.keys() & LOCAL


def test_the_tests_that_are_named_are_there_and_type_the_command() -> None:
    for command, test in TRIED.items():
        path, _, name = test.partition("::")
        assert name in functions_of(E2E / path), test
        typed = ", ".join(f'"{word}"' for word in command.split())
        assert typed in (E2E / path).read_text(), f"{test} does not type {command}"
