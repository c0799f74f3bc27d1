"""A pool in one line."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from workerpool_operator.cli.get.rows import Row, age

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def pool(*, generation: int = 3, observed: int = 3, ready: str = "True", **status: Any) -> dict[str, Any]:
    told = {"type": "Ready", "status": ready, "message": "2 of 5 workers are ready", "observedGeneration": observed}
    metadata = {"name": "thumbs", "namespace": "media", "generation": generation}
    return {"metadata": metadata, "status": {"conditions": [told], **status}}


def test_all_that_is_known_is_shown() -> None:
    versions = [{"hash": "b", "role": "stable"}, {"hash": "a", "role": "draining"}]
    row = Row.of(
        pool(
            replicas=5,
            readyReplicas=4,
            scaling={"desired": 6, "depth": 7, "mode": "direct", "limitedBy": ["maxReplicas"], "reason": "it grows"},
            queues=[{"name": "x", "inFlight": 2}, {"name": "y", "inFlight": 3}, {"name": "z"}],
            versions=versions,
        ),
        now=NOW,
    )
    assert (row.workers, row.desired, row.depth, row.in_flight) == ("4/5", "6", "7", "5")
    assert (row.version, row.mode, row.limited_by, row.reason) == ("b +1", "direct", "maxReplicas", "it grows")


def test_zero_is_not_unknown() -> None:
    row = Row.of(pool(scaling={"desired": 0, "depth": 0}, queues=[{"name": "x", "inFlight": 0}]), now=NOW)
    assert (row.desired, row.depth, row.in_flight) == ("0", "0", "0")


def test_what_is_not_known_is_a_dash() -> None:
    row = Row.of({"metadata": {"name": "new", "namespace": "media"}}, now=NOW)
    assert (row.ready, row.desired, row.depth, row.in_flight, row.version, row.age) == ("Unknown", *"-----")


def test_a_pool_that_is_not_ready_says_why() -> None:
    assert Row.of(pool(ready="False"), now=NOW).reason == "2 of 5 workers are ready"


def test_readiness_of_an_older_generation_is_unknown() -> None:
    row = Row.of(pool(generation=4), now=NOW)
    assert (row.ready, row.reason) == ("Unknown", "the operator has not acted on the last change yet")


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0s"), (119, "119s"), (120, "2m"), (7_199, "119m"), (7_200, "2h"), (200_000, "2d"), (-9, "0s")],
)
def test_ages(seconds: int, shown: str) -> None:
    stamp = (NOW - timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")
    assert age(stamp, now=NOW) == shown
