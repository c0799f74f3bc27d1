"""What is held against a play with one bad job: too many or too few deaths, restarts and dead letters, and time."""

from pathlib import Path

import pytest

from e2e.faults.plights.node import Node
from e2e.faults.plights.play import PLIGHTS, Plight, judged

POISON, HANG, SLOW = PLIGHTS


def node(*, deaths: int = 0, restarts: int = 0) -> Node:
    return Node(env={}, log=Path("workers.log"), deaths=deaths, restarts=restarts)


@pytest.mark.parametrize(
    ("plight", "seen", "letters"),
    [(POISON, node(deaths=5), ["bad-poison"]), (HANG, node(restarts=1), []), (SLOW, node(), [])],
)
def test_what_has_to_come_of_each_holds(plight: Plight, seen: Node, letters: list[str]) -> None:
    """Poison is dead, a wedged worker is restarted once, and time alone is no fault."""
    assert judged(plight, seen, seconds=100.0, lost=0, letters=letters) == []


def test_good_jobs_that_die_with_the_poison_are_told() -> None:
    """They shared its worker, and have done nothing wrong."""
    found = judged(POISON, node(deaths=5), seconds=12.0, lost=0, letters=["bad-poison", "job-1"])
    assert found == ["dead letters: bad-poison, job-1"]


def test_a_worker_that_is_restarted_for_a_long_job_is_told() -> None:
    """It was at work."""
    assert judged(SLOW, node(restarts=1), seconds=100.0, lost=0, letters=[]) == [
        "1 workers were restarted for their probe, and not 0"
    ]


def test_a_worker_that_hangs_for_longer_than_two_minutes_is_told() -> None:
    """Or for good."""
    assert judged(HANG, node(restarts=1), seconds=121.0, lost=0, letters=[]) == ["healed after 121 s, not within 120 s"]
    assert judged(HANG, node(restarts=1), seconds=None, lost=1, letters=[]) == [
        "not over within 240 s",
        "1 jobs were lost",
    ]
