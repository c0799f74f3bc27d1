"""What a pool's spec says to its workers while they run."""

import pytest

from tests.unit.domain.builders import pool
from workerpool_operator.controller.orders import delivery_of


@pytest.mark.parametrize(
    ("said", "seconds"), [({}, None), ({"slowJobSeconds": 3}, 3.0), ({"slowJobSeconds": "0.25"}, 0.25)]
)
def test_workers_hear_from_when_on_a_job_is_slow(said: dict[str, object], seconds: float | None) -> None:
    spec = pool(rollout={"analysis": said}).spec
    assert delivery_of(spec, rate=None, take_rates={}).slow_after_seconds == seconds
