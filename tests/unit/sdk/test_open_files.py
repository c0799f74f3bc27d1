"""How many files are open can be told when no more can be opened."""

import resource
from collections.abc import Iterator

import pytest

from workerpool.telemetry.process import open_files


@pytest.fixture
def none_left() -> Iterator[int]:
    """This process has as many files open as it may; how many that are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        yield 3
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_they_are_counted() -> None:
    used, allowed = open_files()
    assert 3 <= used < allowed


def test_when_no_more_can_be_opened_all_are_open(none_left: int) -> None:
    assert open_files() == (none_left, none_left)
