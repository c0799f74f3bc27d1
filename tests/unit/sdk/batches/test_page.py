"""What docs/how-to/batch-jobs.md shows works."""

import re
from pathlib import Path
from typing import Any

import pytest

PAGE = (Path(__file__).parents[4] / "docs" / "how-to" / "batch-jobs.md").read_text()
TESTS: list[str] = re.findall(r"^def (test_\w+)", PAGE, flags=re.MULTILINE)


def test_it_has_a_test() -> None:
    assert len(TESTS) == 1


@pytest.mark.parametrize("name", TESTS)
def test_what_it_shows_holds(name: str) -> None:
    names: dict[str, Any] = {"__name__": "page"}
    for code in re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL):
        exec(code, names)
    names[name]()
