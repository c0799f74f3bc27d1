"""What people on call say by annotation: how it is read, and when it counts."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.unit.domain.builders import pool, sample, settled
from workerpool_operator.api import WorkerPool
from workerpool_operator.domain.plan import plan
from workerpool_operator.domain.rules import rate_of
from workerpool_operator.domain.scaling import THROTTLE, Throttle, Traffic, overrides
from workerpool_operator.domain.size import size_of

NOON = datetime(2030, 1, 31, 12, tzinfo=UTC)


def throttled(text: str, **spec: Any) -> WorkerPool:
    web = pool(**spec)
    return web.changed(metadata=web.metadata.changed(annotations={THROTTLE: text}))


@pytest.mark.parametrize("text", ["5@2030-01-31T12:00:00Z", "5.0@2030-01-31T13:00:00+01:00"])
def test_a_throttle_is_a_rate_and_its_end(text: str) -> None:
    said = overrides({THROTTLE: text})
    assert (said.throttle, said.trouble) == (Throttle(per_second=5.0, until=NOON), "")


def test_a_throttle_is_written_as_it_is_read() -> None:
    for rate in (5.0, 0.001, 999_999.0):
        said = Throttle(per_second=rate, until=NOON)
        assert Throttle.parse(str(said)) == said


END = "@2030-01-31T12:00:00Z"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "5@",
        "5@soon",
        "5@2030-01-31T12:00:00",
        END,
        f"0{END}",
        f"-1{END}",
        f"nan{END}",
        f"1e9{END}",
        f"\u0665{END}",
    ],
)
def test_a_throttle_that_makes_no_sense_says_so_and_slows_nobody(text: str) -> None:
    said = overrides({THROTTLE: text})
    assert said.throttle is None
    assert THROTTLE in said.trouble


def test_workers_that_cannot_count_together_are_not_slowed_down() -> None:
    said = overrides({THROTTLE: "5@2030-01-31T12:00:00Z"}, paceable=False)
    assert said.throttle is None
    assert "cannot be kept" in said.trouble


@pytest.mark.parametrize(("limit", "rate"), [(None, 5.0), (9.0, 5.0), (2.0, 2.0)])
def test_the_lower_one_of_limit_and_throttle_holds_until_its_end(limit: float | None, rate: float) -> None:
    said = overrides({THROTTLE: "5@2030-01-31T12:00:00Z"})
    assert said.rate(limit, wall=NOON - timedelta(seconds=1)) == rate
    assert said.rate(limit, wall=NOON) == limit


def test_its_end_is_looked_for() -> None:
    said = overrides({THROTTLE: "5@2030-01-31T12:00:00Z"})
    assert said.changes_in(wall=NOON - timedelta(seconds=9)) == 9.0
    assert said.changes_in(wall=NOON) is None
    assert overrides({}).changes_in(wall=NOON) is None


def test_a_throttled_pool_is_no_larger_than_the_rate_keeps_busy_and_looks_again_at_its_end() -> None:
    scaling = {"cooldownSeconds": 0, "targets": {"queueDepthPerReplica": 1}}
    web = throttled("2.5@2030-01-31T12:00:00Z", scaling=scaling, worker={"image": "web:1", "maxWorkers": 4})
    seen = settled(web, 2, samples=(sample(40),), traffic=Traffic(service_seconds=2.0))
    before, after = (replace(seen, wall_time=NOON + timedelta(seconds=seconds)) for seconds in (-3, 0))
    assert (size_of(before).size, size_of(after).size > 2) == (2, True)
    assert (rate_of(web, wall=before.wall_time), rate_of(web, wall=after.wall_time)) == (2.5, None)
    found = plan(before).look_again
    assert found is not None
    assert found <= 3
