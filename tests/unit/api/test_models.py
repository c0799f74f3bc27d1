"""What is read from the API server: defaults, what is refused, what is overlooked."""

import pytest
from pydantic import ValidationError

from tests.support.pools import pool, pool_body, queue
from workerpool_operator.api import (
    Condition,
    ConditionStatus,
    ConditionType,
    InvalidPoolError,
    Targets,
    find,
    parse,
)


def test_the_defaults_are_those_that_users_were_promised() -> None:
    assert pool().spec.to_json() == {
        "replicas": 1,
        "worker": {
            "image": "thumbs:1",
            "command": [],
            "args": [],
            "env": [],
            "envFrom": [],
            "resources": {},
            "volumes": [],
            "volumeMounts": [],
            "sidecars": [],
            "podLabels": {},
            "podAnnotations": {},
            "nodeSelector": {},
            "affinity": {},
            "tolerations": [],
            "topologySpreadConstraints": [],
            "imagePullSecrets": [],
            "imagePullPolicy": "IfNotPresent",
            "runAsUser": 10001,
            "fsGroup": 10001,
            "maxWorkers": 20,
            "heartbeatPeriodSeconds": 10,
            "drainTimeoutSeconds": 60,
            "stuckAfterSeconds": 45,
            "livenessProbe": {
                "path": "/healthz",
                "port": 8080,
                "initialDelaySeconds": 15,
                "periodSeconds": 20,
                "timeoutSeconds": 10,
                "failureThreshold": 2,
            },
            "readinessProbe": {
                "path": "/ready",
                "port": 8080,
                "initialDelaySeconds": 5,
                "periodSeconds": 10,
                "timeoutSeconds": 5,
                "failureThreshold": 3,
            },
        },
        "queues": [{"name": "main", "redisStream": {"url": "redis://redis:6379/0", "stream": "s", "group": "g"}}],
        "scaling": {
            "mode": "auto",
            "minReplicas": 0,
            "maxReplicas": 50,
            "targets": {},
            "cooldownSeconds": 300,
            "warmReplicas": 0,
            "schedules": [],
            "predictive": {"mode": "disabled", "horizonSeconds": 600, "seasonSeconds": 86_400},
            "fallback": {"afterSeconds": 180, "behavior": "Hold"},
            "downstreamMaxConcurrency": 0,
            "scaleUp": {"stabilizationSeconds": 0},
            "scaleDown": {"stabilizationSeconds": 30},
        },
        "delivery": {
            "maxAttempts": 5,
            "backoffSeconds": 1,
            "backoffMaxSeconds": 60,
            "leaseSeconds": 60,
            "tenantLimits": {},
            "shedAfterSeconds": {},
        },
        "rollout": {
            "strategy": "Canary",
            "steps": [
                {"weight": 10, "durationSeconds": 1800, "minJobs": 200, "pause": False},
                {"weight": 50, "durationSeconds": 600, "minJobs": 0, "pause": False},
            ],
            "analysis": {
                "tolerateRatio": "1.25",
                "rejectRatio": "3",
                "falseAlarm": "0.05",
                "acceptableFailureRate": "0.01",
                "failureBudget": 0,
                "warmupSeconds": 60,
                "maxUnmeasuredSeconds": 900,
                "onInconclusive": "Hold",
            },
            "surge": 1,
            "whenIdle": "Hold",
            "autoPromote": True,
            "autoRollback": True,
            "keepDrainedVersions": 2,
        },
        "disruption": {"maxUnavailable": 1, "protectBusyWorkers": True},
        "alerts": {
            "enabled": True,
            "heartbeatMissingSeconds": 30,
            "queueDepthFactor": 2,
            "thresholds": {},
            "labels": {},
        },
        "slo": {"jobLatencyQuantile": "0.95"},
        "suspend": False,
    }


def test_a_pool_without_targets_aims_at_twenty_jobs_a_worker() -> None:
    assert Targets().effective() == Targets(queue_depth_per_replica=20)


@pytest.mark.parametrize("targets", [Targets(queue_depth=100), Targets(queue_depth_per_replica=5)])
def test_a_pool_with_a_target_gets_no_other(targets: Targets) -> None:
    assert targets.effective() == targets


def test_fields_of_a_newer_crd_are_overlooked() -> None:
    read = pool(later=True, worker={"kind": "io"}, scaling={"horoscope": {"sign": "lion"}})
    assert read.spec == pool().spec


def test_what_this_version_does_not_know_is_named_without_its_value() -> None:
    body = pool_body(scaling={"mode": "carousel"}, queues=[queue(redisStream={"url": 7, "group": "secret "})])
    with pytest.raises(InvalidPoolError) as refused:
        parse(body)
    assert "spec.scaling.mode: Input should be 'auto', 'hpa', 'keda', 'direct' or 'manual'" in str(refused.value)
    assert "spec.queues.0.redisStream.url" in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("queueDepth", -1),
        ("jobWaitSeconds", 0),
        ("jobFailureRatio", 2),
        ("jobFailureRatio", "1.1"),
        ("redeliveryRatio", "-0.1"),
        ("retryRatio", "50%"),
        ("slotsBusyRatio", "0.12345"),
        ("loopLagSeconds", 0),
        ("loopLagSeconds", "0.000"),
        ("cpuPercent", 0),
    ],
)
def test_a_threshold_that_means_nothing_is_refused(field: str, value: object) -> None:
    with pytest.raises(InvalidPoolError, match=f"spec.alerts.thresholds.{field}"):
        parse(pool_body(alerts={"thresholds": {field: value}}))


@pytest.mark.parametrize("missing", ["worker", "queues"])
def test_a_pool_without_worker_or_queues_is_refused(missing: str) -> None:
    body = pool_body()
    del body["spec"][missing]
    with pytest.raises(InvalidPoolError, match=f"spec.{missing}: Field required"):
        parse(body)


def test_a_status_that_cannot_be_read_is_as_good_as_none() -> None:
    body = pool_body() | {"status": {"replicas": "many", "selector": "a=b"}}
    assert parse(body).status == pool().status


def test_a_status_is_read_back_as_it_was_written() -> None:
    status = {
        "observedGeneration": 3,
        "replicas": 2,
        "readyReplicas": 1,
        "drainingReplicas": 1,
        "selector": "workerpool.dev/pool=thumbs",
        "scaling": {
            "desired": 2,
            "mode": "direct",
            "depth": 31,
            "limitedBy": ["maxReplicas"],
            "reason": "31 jobs wait",
            "lastScaleTime": "2025-01-02T03:04:05Z",
            "terms": [{"name": "queueDepthPerReplica", "value": 2}],
        },
        "queues": [{"name": "main", "depth": 31, "inFlight": 2, "oldestAgeSeconds": 4, "reachable": True}],
        "versions": [
            {
                "hash": "0011aabb",
                "revision": "00aa11",
                "image": "thumbs:1",
                "role": "stable",
                "replicas": 2,
                "readyReplicas": 1,
                "inFlight": 2,
            }
        ],
        "conditions": [
            {
                "type": "Ready",
                "status": "False",
                "observedGeneration": 3,
                "lastTransitionTime": "2025-01-02T03:04:05Z",
                "reason": "WorkersStarting",
                "message": "1 of 2 workers are ready",
            }
        ],
    }
    assert parse(pool_body() | {"status": status}).status.to_json() == status


def test_a_pool_cannot_be_changed_by_accident() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        pool().spec.scaling.min_replicas = 3  # type: ignore[misc]


def test_a_changed_copy_leaves_the_original_alone() -> None:
    spec = pool().spec
    assert spec.changed(replicas=4).replicas == 4
    assert spec.replicas == 1


def test_metadata_is_at_hand() -> None:
    body = pool_body()
    body["metadata"] |= {"generation": 7, "deletionTimestamp": "2025-01-02T03:04:05Z"}
    read = parse(body)
    assert (read.name, read.namespace, read.generation, read.being_deleted) == ("thumbs", "media", 7, True)
    assert read.uid == "11111111-2222-3333-4444-555555555555"
    assert not pool().being_deleted


def test_a_condition_is_found_by_its_type() -> None:
    ready = Condition.model_validate(
        {"type": "Ready", "status": "True", "reason": "AllReady", "lastTransitionTime": "2025-01-02T03:04:05Z"}
    )
    assert ready.status is ConditionStatus.TRUE
    assert find([ready], ConditionType.READY) is ready
    assert find([ready], ConditionType.STALLED) is None


@pytest.mark.parametrize(("name", "variable"), [("main", "MAIN"), ("thumbs-high", "THUMBS_HIGH")])
def test_a_queue_tells_its_name_in_variables(name: str, variable: str) -> None:
    assert pool(queues=[queue(name)]).spec.queues[0].env_name == variable
