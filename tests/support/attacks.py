"""Attacks: the tests that play somebody hostile, marked so that they can be run, counted and listed as what they are.

`pytest -m attack --attacks FILE` writes `{"attacks": ..., "refused": ..., "reached": ...}` there. An attack counts once
however many tests play it, and as refused only if all of them passed. `scripts/attacks_page.py` lists them for the
docs; it reads the tests' text, so what an attack is, and what stops it, are written as literals.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest


def attack(what: str, *, stopped_by: str) -> pytest.MarkDecorator:
    """The test plays `what`; the part of the product named in `stopped_by` keeps it from succeeding."""
    return pytest.mark.attack(what, stopped_by)


class Tally:
    """What became of each attack."""

    def __init__(self, file: Path) -> None:
        """Nothing has been tried yet."""
        self._file = file
        self._attacks: dict[str, str] = {}
        self._tried: set[str] = set()
        self._reached: set[str] = set()

    def pytest_collection_modifyitems(self, items: Sequence[pytest.Item]) -> None:
        """Who plays what."""
        for item in items:
            mark = item.get_closest_marker("attack")
            if mark is not None:
                self._attacks[item.nodeid] = mark.args[0]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """One phase of a test has ended."""
        what = self._attacks.get(report.nodeid)
        if what is None:
            return
        if report.failed:
            self._reached.add(what)
        if report.when == "call" and not report.skipped:
            self._tried.add(what)

    def pytest_sessionfinish(self) -> None:
        """Write what is known, also after an interruption."""
        refused = self._tried - self._reached
        found = {"attacks": len(self._tried | self._reached), "refused": len(refused), "reached": len(self._reached)}
        self._file.write_text(json.dumps(found) + "\n", "utf-8")


def pytest_addoption(parser: pytest.Parser) -> None:
    """The file for the figures."""
    parser.addoption("--attacks", metavar="FILE", help="write how many attacks were refused there")


def pytest_configure(config: pytest.Config) -> None:
    """Count, if somebody wants to know."""
    file = config.getoption("--attacks")
    if file:
        config.pluginmanager.register(Tally(Path(file)))
