"""The ScaledObject of mode keda, and the ConfigMap that it reads: a number or nothing, and no second opinion on it."""

from typing import Any

import pytest

from tests.support.pools import pool
from workerpool_operator.domain import desired

POOL = pool(scaling={"mode": "keda", "minReplicas": 3, "maxReplicas": 12})


def spec(**more: Any) -> dict[str, Any]:
    found: dict[str, Any] = desired.scaled_object(POOL, **({"exact": True} | more))["spec"]
    return found


def test_it_scales_the_pool_and_is_the_pools() -> None:
    """Never a Deployment: the operator would not hear of a smaller size before workers go."""
    made = desired.scaled_object(POOL, exact=True)
    assert (made["apiVersion"], made["kind"]) == ("keda.sh/v1alpha1", "ScaledObject")
    assert made["spec"]["scaleTargetRef"] == {
        "apiVersion": "workerpool.dev/v1alpha1",
        "kind": "WorkerPool",
        "name": "thumbs",
    }
    for one in (made, desired.answer(POOL, 1)):
        (owner,) = one["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["uid"]) == ("WorkerPool", POOL.uid)
        assert one["metadata"]["labels"]["workerpool.dev/pool"] == "thumbs"


def test_its_one_trigger_reads_what_the_operator_has_written() -> None:
    (trigger,) = spec()["triggers"]
    told = desired.answer(POOL, 7)
    assert (trigger["type"], trigger["metricType"]) == ("kubernetes-resource", "AverageValue")
    assert trigger["metadata"]["resourceName"] == told["metadata"]["name"] == desired.answer_name(POOL)
    assert trigger["metadata"]["targetValue"] == "1"
    assert told["data"] == {trigger["metadata"]["key"]: "7"}


def test_what_is_not_known_is_no_number() -> None:
    """Go's Sscanf, which KEDA reads it with, would take a prefix of digits, a sign, `nan` or `inf`."""
    (value,) = desired.answer(POOL, None)["data"].values()
    assert value == "unknown"
    assert desired.answer(POOL, 0)["data"] == {"desiredReplicas": "0"}


def test_to_and_from_zero_keda_never_goes() -> None:
    """Nothing is active by a threshold that no answer reaches; what is not active would sleep after 68 years."""
    found = spec()
    assert found["minReplicaCount"] == 0
    assert float(found["triggers"][0]["metadata"]["activationTargetValue"]) > 100_000
    assert found["cooldownPeriod"] == found["initialCooldownPeriod"] == 2**31 - 1
    assert "idleReplicaCount" not in found
    assert "fallback" not in found


def test_all_limits_act_before_keda_is_told() -> None:
    found = spec()
    behavior = found["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    assert found["maxReplicaCount"] == 12
    for direction in ("scaleUp", "scaleDown"):
        assert behavior[direction] == {
            "stabilizationWindowSeconds": 0,
            "selectPolicy": "Max",
            "policies": [{"type": "Pods", "value": 12, "periodSeconds": 15}],
            "tolerance": "0",
        }


@pytest.mark.parametrize("direction", ["scaleUp", "scaleDown"])
def test_where_kubernetes_has_no_tolerance_none_is_asked_for(direction: str) -> None:
    behavior = spec(exact=False)["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    assert "tolerance" not in behavior[direction]


def test_kedas_hpa_does_not_look_like_the_operators() -> None:
    """KEDA copies labels, and the operator would count the HPA as an object of its own."""
    metadata = desired.scaled_object(POOL, exact=True)["metadata"]
    excluded = metadata["annotations"]["scaledobject.keda.sh/hpa-excluded-labels"]
    assert metadata["labels"][excluded] == "workerpool-operator"
