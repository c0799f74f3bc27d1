"""The tree stays readable: nothing too long, nothing half done, nothing that belongs to one machine."""

import os
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SOURCES = ("operator", "workers", "e2e", "bench", "scripts", "tests", "charts", "examples")
LONGEST = 400
"""Lines. A file that is longer is to be divided."""
# Put together, so that this file is not the one that is found.
HALF_DONE = re.compile("|".join(["TO" + "DO", "FIX" + "ME", "Not" + "ImplementedError"]))
ONE_MACHINE = re.compile("|".join(["/" + "root/", "/" + "work/"]))


def files(*suffixes: str) -> list[Path]:
    found = [path for folder in SOURCES for path in (ROOT / folder).rglob("*") if path.suffix in suffixes]
    return sorted(path for path in found if not any(part.startswith((".", "__pycache__")) for part in path.parts))


def test_no_file_is_too_long_to_read() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in files(".py", ".sh", ".go")}
    assert {name: length for name, length in lengths.items() if length > LONGEST} == {}


@pytest.mark.parametrize("pattern", [HALF_DONE, ONE_MACHINE], ids=["half done", "of one machine"])
def test_nothing_is_left_lying_about(pattern: re.Pattern[str]) -> None:
    texts = {path: path.read_text() for path in files(".py", ".sh", ".go", ".yaml", ".md", ".lua")}
    found = {f"{path.relative_to(ROOT)}: {word}" for path, text in texts.items() for word in pattern.findall(text)}
    assert found == set()


def test_scripts_can_be_run() -> None:
    scripts = [ROOT / ".ci" / "run", *(path for path in (ROOT / "scripts").iterdir() if path.suffix in {"", ".sh"})]
    runnable = [path for path in scripts if path.is_file()]
    assert [path.name for path in runnable if not os.access(path, os.X_OK)] == []
    assert [path.name for path in runnable if not path.read_text().startswith("#!")] == []
