"""What the scalers of the comparison are told: the same worker, and what makes the peers quick."""

from typing import Any

from bench.reaction import manifests
from bench.reaction.figures import SCALERS
from bench.reaction.scalers import ALL
from workerpool_operator.api import parse
from workerpool_operator.domain.desired.template import pod_template

WHERE: dict[str, Any] = {"image": "worker:1", "redis": "redis://redis.bench.svc:6379/0"}


def test_every_scaler_that_is_named_is_there() -> None:
    """In the order of the figures."""
    assert tuple(scaler.name for scaler in ALL) == SCALERS


def test_a_plain_deployment_has_the_worker_of_the_pool() -> None:
    """Image, probes, resources and the SDK's settings, but for the collector; and Kubernetes' own grace."""
    pool = parse(manifests.pool("x", "bench", mode="direct", **WHERE))
    ours = pod_template(pool, version="bench", revision="bench")["spec"]["containers"][0]
    spec = manifests.deployment("x", "bench", replicas=0, **WHERE)["spec"]["template"]["spec"]
    theirs = spec["containers"][0]
    assert spec["terminationGracePeriodSeconds"] == 30
    assert [one for one in ours["env"] if one not in theirs["env"]] == [
        {"name": "WORKERPOOL_COLLECTOR", "value": "workerpool-collector.bench.svc:8090"}
    ]
    assert {"name": "DRAIN_TIMEOUT", "value": "25"} in theirs["env"]
    assert [mount["mountPath"] for mount in theirs["volumeMounts"]] == ["/tmp"]
    left_out = {"env", "volumeMounts"}
    assert {name: ours[name] for name in ours.keys() - left_out} == {
        name: theirs[name] for name in ours.keys() - left_out
    }


def test_keda_counts_what_waits_and_what_runs() -> None:
    """Both settings of it differ in their timing alone."""
    slow, fast = (
        manifests.scaled_object("x", "bench", redis=WHERE["redis"], tuned=tuned)["spec"] for tuned in (False, True)
    )
    assert slow["advanced"]["scalingModifiers"]["formula"] == "lag + pending"
    assert {one["name"] for one in slow["triggers"]} == {"lag", "pending"}
    assert all(one["metadata"]["address"] == "redis.bench.svc:6379" for one in slow["triggers"])
    assert "pollingInterval" not in slow
    assert (fast.pop("pollingInterval"), fast.pop("cooldownPeriod")) == (1, manifests.QUIET_SECONDS)
    assert fast["advanced"].pop("horizontalPodAutoscalerConfig") == {"behavior": manifests.behavior()}
    assert fast == slow


def test_tuned_peers_wait_as_long_as_the_pool_before_they_shrink() -> None:
    """And grow at once, to any size, by the least difference."""
    scaling = manifests.pool("x", "bench", mode="direct", **WHERE)["spec"]["scaling"]
    assert scaling["cooldownSeconds"] == manifests.QUIET_SECONDS
    behavior = manifests.behavior()
    told = behavior["scaleDown"]["stabilizationWindowSeconds"]
    assert scaling["scaleDown"]["stabilizationSeconds"] == told == manifests.STABILIZATION_SECONDS
    assert behavior["scaleUp"]["stabilizationWindowSeconds"] == 0
    assert {one["tolerance"] for one in behavior.values()} == {"0"}
    hpa = manifests.autoscaler("x", "bench")["spec"]
    assert hpa["behavior"] == behavior
    assert hpa["maxReplicas"] == scaling["maxReplicas"]
