"""What the rules of a WorkerPoolBudget accept and refuse on a real API server, and with which words."""

from typing import Any

import pytest

from workerpool_operator.api import API_VERSION, BUDGET_KIND
from workerpool_operator.kube import Kube, ObjectRef, errors, kinds

pytestmark = [pytest.mark.component, pytest.mark.apiserver, pytest.mark.usefixtures("crds")]

VALUES = "In and NotIn need values, Exists and DoesNotExist take none"
NAME = "metadata.name must have at most 63 characters out of a-z, 0-9 and '-'"


def budget(name: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": API_VERSION, "kind": BUDGET_KIND, "metadata": {"name": name}, "spec": spec}


def selecting(**expression: Any) -> dict[str, Any]:
    return {"maxReplicas": 1, "namespaceSelector": {"matchExpressions": [{"key": "team", **expression}]}}


@pytest.mark.parametrize(
    "spec",
    [
        {"maxReplicas": 0},
        {"maxReplicas": 1_000_000, "maxPriority": 0},
        {"maxReplicas": 1, "namespaceSelector": {}},
        {"maxReplicas": 1, "namespaceSelector": {"matchLabels": {"team": "a"}}},
        selecting(operator="NotIn", values=["a", "b"]),
        selecting(operator="Exists"),
    ],
)
async def test_a_valid_budget_is_accepted(kube: Kube, namespace: str, spec: dict[str, Any]) -> None:
    stored = await kube.create(budget(namespace, **spec))
    await kube.delete(ObjectRef(kinds.WORKER_POOL_BUDGET, "", namespace))
    assert stored["spec"] == {"maxPriority": 1000} | spec


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({}, "spec.maxReplicas: Required value"),
        ({"maxReplicas": -1}, "greater than or equal to 0"),
        ({"maxReplicas": 1, "maxPriority": 1001}, "less than or equal to 1000"),
        (selecting(operator="In"), VALUES),
        (selecting(operator="NotIn", values=[]), VALUES),
        (selecting(operator="Exists", values=["a"]), VALUES),
    ],
)
async def test_an_invalid_budget_is_refused_with_what_to_write(
    kube: Kube, namespace: str, spec: dict[str, Any], words: str
) -> None:
    with pytest.raises(errors.Invalid, match=words):
        await kube.create(budget(namespace, **spec))


@pytest.mark.parametrize("name", ["a" * 64, "a.b"])
async def test_a_name_that_no_pool_could_write_is_refused(kube: Kube, name: str) -> None:
    with pytest.raises(errors.Invalid, match=NAME):
        await kube.create(budget(name, maxReplicas=1))
