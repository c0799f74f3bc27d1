"""The table of attacks in docs/explanation/threats.md, made of the tests that play them."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
TESTS = ROOT / "tests"
NAMES = {"attack", "resource"}
"""What describes an attack: `tests.support.attacks`, and the hostile resources' own."""


def attacks() -> dict[str, tuple[str, str]]:
    """What is tried -> what stops it, and the test's path; in the order of the files."""
    found: dict[str, tuple[str, str]] = {}
    for path in sorted(TESTS.rglob("*.py")):
        for what, stopped_by in _described(ast.parse(path.read_text("utf-8"))):
            if what in found:
                raise ValueError(f"two attacks are called {what!r}: {found[what][1]} and {path.relative_to(ROOT)}")
            found[what] = (stopped_by, str(path.relative_to(ROOT)))
    return found


def table() -> str:
    """As Markdown."""
    rows = [f"| {what} | {stopped_by} | `{path}` |" for what, (stopped_by, path) in attacks().items()]
    return "\n".join(["| What is tried | What stops it | Played in |", "|---|---|---|", *rows]) + "\n"


def _described(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Literals, and names that stand for one in their file."""
    named = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in NAMES and node.args:
            what = node.args[0]
            by = {keyword.arg: keyword.value for keyword in node.keywords}.get("stopped_by")
            by = named.get(by.id) if isinstance(by, ast.Name) else by
            if isinstance(what, ast.Constant) and isinstance(by, ast.Constant):
                yield str(what.value), str(by.value)


if __name__ == "__main__":
    print(table(), end="")
