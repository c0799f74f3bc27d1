"""docs/reference/worker-contract.md says what the code does."""

from pathlib import Path

import pytest

from workerpool.broker import DeathReason
from workerpool.runtime import contract
from workerpool.runtime.evidence import START_SECONDS
from workerpool.telemetry import exposition
from workerpool.telemetry.metrics import BATCH_JOBS, FailureReason, Histogram, Metrics

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "worker-contract.md").read_text()


def test_every_metric_is_documented() -> None:
    metrics = Metrics(pool="p", version="v", slots={"io": 1})
    metrics.queue_depth["main"] = 1
    metrics.lanes["io"].batches = Histogram(BATCH_JOBS)
    for family in exposition.families(metrics):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        assert f"| `{name}" in PAGE


def test_how_long_a_start_may_take_is_documented() -> None:
    assert f"gives itself {START_SECONDS:.0f} s" in PAGE


@pytest.mark.parametrize("reason", [*FailureReason, *DeathReason])
def test_every_reason_is_documented(reason: str) -> None:
    assert f"`{reason}`" in PAGE


@pytest.mark.parametrize("name", contract._DEFAULTS)
def test_every_variable_with_a_default_is_documented(name: str) -> None:
    [row] = [line for line in PAGE.splitlines() if line.startswith("| `") and f"`{name}`" in line.split("|")[1]]
    assert contract._DEFAULTS[name] in row
