"""What a lost node may cost, by what the namespace has of collectors."""

from dataclasses import replace
from typing import Any

import pytest

from e2e.failover.play import Row

HELD = Row(
    failover_seconds=33.0,
    failover_timeout_seconds=30,
    leader_seconds=15.0,
    collectors=2,
    samples_fresh_seconds=0.5,
    jobs=1200,
    jobs_lost=0,
    jobs_dead=0,
    failback_seconds=80.0,
    failback_interrupted=0,
)


@pytest.mark.parametrize(
    ("collectors", "failover", "fresh", "ok"),
    [
        (2, 60.0, 9.9, True),
        (2, 61.0, 0.5, False),
        (2, 33.0, 10.0, False),
        (2, 33.0, None, False),
        (1, 160.0, 119.0, True),
        (1, 181.0, 70.0, False),
        (1, 100.0, 120.0, False),
        (1, 100.0, None, False),
    ],
)
def test_a_single_collector_may_be_away_for_two_minutes(
    collectors: int, failover: float, fresh: float | None, *, ok: bool
) -> None:
    """And silence counts only while one listens, so the failover may begin as much later."""
    row = replace(HELD, collectors=collectors, failover_seconds=failover, samples_fresh_seconds=fresh)
    assert row.ok is ok


@pytest.mark.parametrize("harm", [{"jobs_lost": 1}, {"jobs_lost": None}, {"leader_seconds": 20.0}])
def test_nothing_else_may_be_lost(harm: dict[str, Any]) -> None:
    """Neither a job, nor the leader for longer than it takes another to follow."""
    assert HELD.ok
    assert not replace(HELD, **harm).ok
