"""When it is said that no operator runs."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from workerpool_operator.cli import standing
from workerpool_operator.controller.config import LEASE_NAME
from workerpool_operator.domain.watched import VARIABLE

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def operator(ready: int | None, *, watches: str = "", namespace: str = "system") -> dict[str, Any]:
    status = {} if ready is None else {"readyReplicas": ready}
    env = [{"name": VARIABLE, "value": watches}] if watches else []
    spec = {"template": {"spec": {"containers": [{"name": "operator", "env": env}]}}}
    return {"metadata": {"name": "workerpool-operator", "namespace": namespace}, "spec": spec, "status": status}


def lease(holder: str, *, ago: float, namespace: str = "system") -> dict[str, Any]:
    spec = {"holderIdentity": holder, "renewTime": (NOW - timedelta(seconds=ago)).isoformat()}
    return {"metadata": {"namespace": namespace}, "spec": spec}


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
    assert standing.told(operators, leases, namespace="media", now=NOW) is None


@pytest.mark.parametrize(
    "leases",
    [
        [],
        [{"metadata": {"namespace": "system"}}],
        [lease("", ago=1)],
        [lease("me", ago=61)],
        [{"metadata": {"namespace": "system"}, "spec": {"renewTime": "x"}}],
    ],
)
def test_none_at_all(leases: list[Any]) -> None:
    """A Lease that nobody holds, or holds no longer, stays behind."""
    said = standing.told([], leases, namespace="media", now=NOW)
    assert said is not None
    assert said.what.startswith("no operator is installed in this cluster")
    assert "--namespace workerpool-system --create-namespace" in said.remedy


@pytest.mark.parametrize("ready", [None, 0])
def test_one_that_is_not_ready(ready: int | None) -> None:
    said = standing.told([operator(ready)], [lease("me", ago=90)], namespace="media", now=NOW)
    assert said is not None
    assert said.what == "no replica of the operator (system/workerpool-operator) is ready"
    assert "kubectl -n system describe pods" in said.remedy


@pytest.mark.parametrize(
    ("operators", "leases"),
    [
        ([operator(1, watches="media,news")], []),
        ([operator(1, watches="news"), operator(1, watches="media", namespace="other")], []),
        ([operator(1, watches="news"), operator(1, namespace="other")], []),
        ([operator(1, watches="news")], [lease("it", ago=1), lease("me", ago=1, namespace="other")]),
    ],
    ids=["named", "by another", "by one for all", "by one outside"],
)
def test_a_namespace_that_one_looks_after(operators: list[Any], leases: list[Any]) -> None:
    """Whoever does it, among several."""
    assert standing.told(operators, leases, namespace="media", now=NOW) is None


@pytest.mark.parametrize("ready", [None, 1])
def test_a_namespace_that_is_left_alone(ready: int | None) -> None:
    """The Lease of the operator that leaves it alone says nothing; who asks of all namespaces is told nothing."""
    operators, leases = [operator(ready, watches="news,films")], [lease("it", ago=1)]
    said = standing.told(operators, leases, namespace="media", now=NOW)
    assert said is not None
    assert said.what == "the operator (system/workerpool-operator) does not look after namespace media"
    assert said.remedy.endswith("--reuse-values --set 'watchNamespaces={news,films,media}'")
    assert standing.told(operators, leases, namespace=None, now=NOW) is None
