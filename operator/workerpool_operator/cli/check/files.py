"""Which files are read, and what a comment in them takes back."""

import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from workerpool_operator.cli.check.findings import Finding, Rule
from workerpool_operator.cli.check.module import Module
from workerpool_operator.cli.check.rules import RULES

_IGNORE: Final = re.compile(r"#\s*wpool:\s*ignore(?:\[(?P<rules>[^\]]*)\])?")
_PASSED_OVER: Final = frozenset({"__pycache__", "node_modules", "venv", "site-packages"})


class UnreadableError(Exception):
    """A file cannot be read, or is not Python."""


def python_files(paths: Iterable[Path]) -> Iterator[Path]:
    """Files as they are given, and all of Python in folders, without hidden ones and those of installed packages.

    Raises:
        UnreadableError: there is no such file.
    """
    for path in paths:
        if path.is_dir():
            yield from sorted(each for each in path.rglob("*.py") if not _passed_over(each.relative_to(path)))
        elif path.is_file():
            yield path
        else:
            raise UnreadableError(f"{path}: there is no such file")


def check_file(path: Path) -> list[Finding]:
    """All findings in a file, in order of their lines.

    Raises:
        UnreadableError: see there.
    """
    try:
        with tokenize.open(path) as file:
            text = file.read()
    except (OSError, SyntaxError, UnicodeDecodeError) as error:
        raise UnreadableError(f"{path}: {error}") from error
    return check_text(text, file=str(path))


def check_text(text: str, *, file: str) -> list[Finding]:
    """The same for what a file holds."""
    try:
        module = Module.parse(text, file=file)
        ignored = dict(_ignored(text))
    except (SyntaxError, ValueError, RecursionError, tokenize.TokenError) as error:
        raise UnreadableError(f"{file}: this Python cannot read it: {error}") from error
    found = {each for rule in RULES.values() for each in rule(module)}
    return sorted(each for each in found if not _is_ignored(each, ignored))


def _ignored(text: str) -> Iterator[tuple[int, frozenset[str]]]:
    """By line: rules that a comment there takes back."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        match = _IGNORE.search(token.string) if token.type == tokenize.COMMENT else None
        if match:
            named = match["rules"]
            yield token.start[0], frozenset(Rule if named is None else (each.strip() for each in named.split(",")))


def _is_ignored(finding: Finding, ignored: dict[int, frozenset[str]]) -> bool:
    lines = range(finding.line, max(finding.line, finding.last_line) + 1)
    return any(finding.rule in ignored.get(line, ()) for line in lines)


def _passed_over(path: Path) -> bool:
    return any(part in _PASSED_OVER or part.startswith(".") for part in path.parts)
