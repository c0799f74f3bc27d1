"""When it is said that no operator runs."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from workerpool_operator.cli import standing
from workerpool_operator.controller.config import LEASE_NAME

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def operator(ready: int | None) -> dict[str, Any]:
    status = {} if ready is None else {"readyReplicas": ready}
    return {"metadata": {"name": "workerpool-operator", "namespace": "system"}, "status": status}


def lease(holder: str, *, ago: float) -> dict[str, Any]:
    return {"spec": {"holderIdentity": holder, "renewTime": (NOW - timedelta(seconds=ago)).isoformat()}}


def test_the_lease_is_the_operators() -> None:
    assert standing.LEASE_NAME == LEASE_NAME


@pytest.mark.parametrize(
    ("operators", "leases"),
    [
        ([operator(None), operator(1)], []),
        ([], [lease("", ago=1), lease("me", ago=20)]),
        ([operator(0)], [lease("me", ago=20)]),
    ],
)
def test_one_that_runs_is_not_talked_about(operators: list[Any], leases: list[Any]) -> None:
    """By its Deployment, or by its Lease."""
    assert standing.told(operators, leases, now=NOW) is None


@pytest.mark.parametrize(
    "leases", [[], [{}], [lease("", ago=1)], [lease("me", ago=61)], [{"spec": {"renewTime": "x"}}]]
)
def test_none_at_all(leases: list[Any]) -> None:
    """A Lease that nobody holds, or holds no longer, stays behind."""
    said = standing.told([], leases, now=NOW)
    assert said is not None
    assert said.what.startswith("no operator is installed in this cluster")
    assert "--namespace workerpool-system --create-namespace" in said.remedy


@pytest.mark.parametrize("ready", [None, 0])
def test_one_that_is_not_ready(ready: int | None) -> None:
    said = standing.told([operator(ready)], [lease("me", ago=90)], now=NOW)
    assert said is not None
    assert said.what == "no replica of the operator (system/workerpool-operator) is ready"
    assert "kubectl -n system describe pods" in said.remedy
