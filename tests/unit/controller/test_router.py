"""Which key an observed object makes due."""

from typing import Any

import pytest

from workerpool_operator.controller.keys import BudgetKey, NamespaceKey, PoolKey
from workerpool_operator.controller.router import Router
from workerpool_operator.controller.store import Store
from workerpool_operator.kube import kinds


class Due:
    """Stands for the work queue: keeps what was marked."""

    def __init__(self) -> None:
        self.keys: list[object] = []

    def mark(self, key: object) -> None:
        self.keys.append(key)

    def taken(self) -> list[object]:
        keys, self.keys = self.keys, []
        return keys


def deployment(*, version: int = 1) -> dict[str, Any]:
    metadata = {
        "namespace": "media",
        "name": "thumbs-1",
        "uid": "u1",
        "resourceVersion": str(version),
        "labels": {"workerpool.dev/pool": "thumbs"},
    }
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata}


def router() -> tuple[Router, Store, Due]:
    store, due = Store(), Due()
    return Router(store, due), store, due  # type: ignore[arg-type]


def test_a_child_makes_its_pool_due_and_its_echo_does_not() -> None:
    """What the store knows already is the echo of an own write."""
    one, _, due = router()
    one.observed(kinds.DEPLOYMENT, deployment())
    assert due.taken() == [PoolKey("media", "thumbs")]
    one.observed(kinds.DEPLOYMENT, deployment())
    assert due.taken() == []


def test_the_echo_of_an_own_deletion_makes_the_pool_due() -> None:
    """The revision of a deleted Deployment is deleted once the Deployment is seen to be gone."""
    one, store, due = router()
    one.observed(kinds.DEPLOYMENT, deployment())
    due.taken()
    store.drop(kinds.DEPLOYMENT, "media", "thumbs-1", uid="u1")
    one.deleted(kinds.DEPLOYMENT, deployment(version=2))
    assert due.taken() == [PoolKey("media", "thumbs")]


def test_an_object_that_loses_its_label_is_missing_for_its_pool_at_once() -> None:
    """Whatever else is changed with it: the labels are how the operator finds what it owns."""
    one, store, due = router()
    one.observed(kinds.DEPLOYMENT, deployment())
    due.taken()
    bare = deployment(version=2)
    del bare["metadata"]["labels"]
    assert one.knows(kinds.DEPLOYMENT, bare)
    one.lost(kinds.DEPLOYMENT, bare)
    assert due.taken() == [PoolKey("media", "thumbs")]
    assert store.get(kinds.DEPLOYMENT, "media", "thumbs-1") is None
    assert not one.knows(kinds.DEPLOYMENT, bare)
    one.lost(kinds.DEPLOYMENT, bare)
    assert due.taken() == []
    one.observed(kinds.DEPLOYMENT, deployment(version=3))
    assert due.taken() == [PoolKey("media", "thumbs")]


def test_an_object_without_a_pool_makes_its_namespace_due() -> None:
    """The collector's objects belong to all pools of the namespace."""
    one, _, due = router()
    body = deployment()
    del body["metadata"]["labels"]
    one.observed(kinds.DEPLOYMENT, body)
    assert due.taken() == [NamespaceKey("media")]


OWNED = {"ownerReferences": [{"uid": "p"}]}


def hpa(*, version: int, figure: str = "4") -> dict[str, Any]:
    conditions = [{"type": "ScalingActive", "status": "True", "reason": "ValidMetricFound", "message": figure}]
    metadata = deployment(version=version)["metadata"] | OWNED
    status = {"desiredReplicas": 4, "currentMetrics": [figure], "conditions": conditions}
    return {"kind": "HorizontalPodAutoscaler", "metadata": metadata, "spec": {"maxReplicas": 9}, "status": status}


def test_the_figures_of_an_hpa_make_nobody_due() -> None:
    """It writes them at each of its looks, and nothing follows from them."""
    one, store, due = router()
    one.observed(kinds.HORIZONTAL_POD_AUTOSCALER, hpa(version=1))
    assert due.taken() == [PoolKey("media", "thumbs")]
    one.observed(kinds.HORIZONTAL_POD_AUTOSCALER, hpa(version=2, figure="5"))
    assert due.taken() == []
    stored = store.get(kinds.HORIZONTAL_POD_AUTOSCALER, "media", "thumbs-1")
    assert stored is not None
    assert stored.version == 2


@pytest.mark.parametrize(
    "changed",
    [
        {"spec": {"maxReplicas": 3}},
        {"status": {"desiredReplicas": 4, "conditions": [{"type": "ScalingActive", "status": "False"}]}},
        {"metadata": hpa(version=2)["metadata"] | {"ownerReferences": []}},
        {"metadata": hpa(version=2)["metadata"] | {"deletionTimestamp": "now"}},
    ],
    ids=["edited", "another condition", "without its owner", "being deleted"],
)
def test_what_an_hpa_wants_and_says_of_itself_makes_its_pool_due(changed: dict[str, Any]) -> None:
    one, _, due = router()
    one.observed(kinds.HORIZONTAL_POD_AUTOSCALER, hpa(version=1))
    due.taken()
    one.observed(kinds.HORIZONTAL_POD_AUTOSCALER, hpa(version=2) | changed)
    assert due.taken() == [PoolKey("media", "thumbs")]


def budget(*, version: int = 1) -> dict[str, Any]:
    return {"metadata": {"name": "team", "uid": "b1", "resourceVersion": str(version)}, "spec": {"maxReplicas": 4}}


def space(*, version: int, **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": "media", "uid": "n1", "resourceVersion": str(version), "labels": labels}}


def test_a_budget_is_due_when_it_comes_changes_and_goes() -> None:
    one, store, due = router()
    one.observed(kinds.WORKER_POOL_BUDGET, budget())
    one.observed(kinds.WORKER_POOL_BUDGET, budget(version=2))
    one.deleted(kinds.WORKER_POOL_BUDGET, budget(version=3))
    assert due.taken() == [BudgetKey("team")] * 3
    assert store.get(kinds.WORKER_POOL_BUDGET, "", "team") is None


def test_labels_of_a_namespace_make_all_budgets_due_and_nothing_else_of_it_does() -> None:
    one, _, due = router()
    one.observed(kinds.WORKER_POOL_BUDGET, budget())
    due.taken()
    one.observed(kinds.NAMESPACE, space(version=2, team="a"))
    assert due.taken() == [BudgetKey("team")]
    one.observed(kinds.NAMESPACE, space(version=3, team="a"))
    assert due.taken() == []
    one.observed(kinds.NAMESPACE, space(version=4, team="b"))
    assert due.taken() == [BudgetKey("team")]


def test_a_new_leader_looks_at_every_budget() -> None:
    one, _, due = router()
    one.observed(kinds.WORKER_POOL_BUDGET, budget())
    due.taken()
    one.mark_everything()
    assert due.taken() == [BudgetKey("team")]
