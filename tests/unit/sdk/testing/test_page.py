"""What docs/how-to/test-handlers.md shows works."""

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from workerpool import testing
from workerpool.testing import Simulation, _broker

PAGE = (Path(__file__).parents[4] / "docs" / "how-to" / "test-handlers.md").read_text()


def snippets() -> dict[str, Any]:
    """The page as one program."""
    names: dict[str, Any] = {"__name__": "page"}
    for code in re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL):
        exec(code, names)
    return names


TESTS: list[str] = re.findall(r"^def (test_\w+)", PAGE, flags=re.MULTILINE)


def test_it_has_tests() -> None:
    assert len(TESTS) == 4


@pytest.mark.parametrize("name", TESTS)
def test_what_it_shows_holds(name: str) -> None:
    snippets()[name]()


def test_it_names_the_points() -> None:
    points = set(re.findall(r'point\("(\w+)"\)', inspect.getsource(_broker)))
    assert points == set(re.findall(r"^\| `(\w+)` \|", PAGE, flags=re.MULTILINE))
    assert all(f"`{name}`" in str(Simulation.crash_at.__doc__) for name in points)


def test_all_names_are_there() -> None:
    assert all(hasattr(testing, name) for name in testing.__all__)
