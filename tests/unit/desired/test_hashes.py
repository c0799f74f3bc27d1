"""Hashes: which field is in which, and that no renderer, default or new field ever changes one.

The pinned values may change only together with `SCHEME`: a change restarts the workers of every pool.
"""

from typing import Any

import pytest

from tests.support.pools import pool, pool_body, queue
from tests.support.rich_pool import QUEUES, WORKER, rich_pool
from workerpool_operator.api import WorkerPool, WorkerSpec, parse
from workerpool_operator.domain.desired import Hashes, hashes
from workerpool_operator.domain.desired.hashes import REVISION_FIELDS, SCHEME, VERSION_FIELDS

OTHER: dict[str, Any] = {
    "image": "thumbs:2",
    "command": ["python"],
    "args": ["--loud"],
    "env": [{"name": "MODE", "value": "slow"}],
    "envFrom": [{"secretRef": {"name": "settings"}}],
    "resources": {"limits": {"cpu": 3}},
    "volumes": [{"name": "scratch", "emptyDir": {}}, {"name": "config", "emptyDir": {}}],
    "volumeMounts": [],
    "sidecars": [{"name": "proxy", "image": "proxy:1"}],
    "podLabels": {"team": "other"},
    "podAnnotations": {"note": "other"},
    "nodeSelector": {"disk": "hdd"},
    "affinity": {},
    "tolerations": [],
    "topologySpreadConstraints": [],
    "imagePullSecrets": [],
    "imagePullPolicy": "Never",
    "priorityClassName": "low",
    "serviceAccountName": "uploader",
    "runAsUser": 2001,
    "fsGroup": 3001,
    "maxWorkers": 9,
    "heartbeatPeriodSeconds": 6,
    "drainTimeoutSeconds": 121,
    "stuckAfterSeconds": 31,
    "livenessProbe": {"path": "/other"},
    "readinessProbe": {"port": 9091},
}
"""Another value for every field."""

ALIASES = {field: str(info.alias) for field, info in WorkerSpec.model_fields.items()}


def with_queue(**fields: Any) -> WorkerPool:
    return pool(worker=WORKER, queues=[queue(), queue("high", **fields)])


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (pool(), Hashes(version="30b1ef85", revision="536da7")),
        (rich_pool(), Hashes(version="2b00615b", revision="e84285")),
    ],
    ids=["smallest", "rich"],
)
def test_hashes_are_what_they_were_when_pools_were_first_rendered(asked: WorkerPool, expected: Hashes) -> None:
    assert SCHEME == 1
    assert hashes(asked) == expected


def test_every_field_of_the_worker_is_in_exactly_one_hash() -> None:
    assert frozenset(WorkerSpec.model_fields) == VERSION_FIELDS | REVISION_FIELDS
    assert not VERSION_FIELDS & REVISION_FIELDS
    assert set(OTHER) == set(ALIASES.values()), "give the new field another value above"


@pytest.mark.parametrize("field", sorted(VERSION_FIELDS))
def test_what_the_users_code_sees_changes_the_version_alone(field: str) -> None:
    before, after = hashes(rich_pool()), hashes(rich_pool(**{ALIASES[field]: OTHER[ALIASES[field]]}))
    assert after.version != before.version
    assert after.revision == before.revision


@pytest.mark.parametrize("field", sorted(REVISION_FIELDS))
def test_other_fields_of_the_pod_change_the_revision_alone(field: str) -> None:
    before, after = hashes(rich_pool()), hashes(rich_pool(**{ALIASES[field]: OTHER[ALIASES[field]]}))
    assert after.version == before.version
    assert after.revision != before.revision


@pytest.mark.parametrize(
    "change",
    [
        {"redisStream": {"url": "redis://other:6379/0"}},
        {"redisStream": {"stream": "t"}},
        {"redisStream": {"group": "h"}},
        {"credentials": {"username": {"secretKeyRef": {"name": "a", "key": "u"}}}},
        {"credentials": {"password": {"secretKeyRef": {"name": "a", "key": "p"}}}},
        {"tls": {"caRef": {"name": "ca"}}},
        {"tls": {"clientCertRef": {"name": "cert"}}},
    ],
)
def test_a_queues_address_and_references_change_the_revision_alone(change: dict[str, Any]) -> None:
    before, after = hashes(with_queue()), hashes(with_queue(**change))
    assert after.version == before.version
    assert after.revision != before.revision


def test_the_order_of_queues_changes_nothing() -> None:
    assert hashes(pool(queues=QUEUES)) == hashes(pool(queues=QUEUES[::-1]))


@pytest.mark.parametrize(
    "change",
    [
        {"replicas": 7},
        {"scaling": {"mode": "manual", "maxReplicas": 7}},
        {"delivery": {"maxAttempts": 9, "leaseSeconds": 90, "backoffSeconds": 3}},
        {"disruption": {"maxUnavailable": "50%"}},
    ],
)
def test_what_reaches_running_workers_or_no_pod_changes_nothing(change: dict[str, Any]) -> None:
    assert hashes(pool(**change)) == hashes(pool())


def test_a_restart_asked_for_is_a_new_version() -> None:
    body = pool_body()
    body["metadata"]["annotations"] = {"workerpool.dev/restart": "2025-01-02T03:04:05Z", "other": "x"}
    after = hashes(parse(body))
    assert after.version != hashes(pool()).version
    assert after.revision == hashes(pool()).revision


def test_a_default_written_out_is_the_same_as_none() -> None:
    """The API server fills defaults in: a pool read back must not look new."""
    written = pool().spec.to_json()
    assert hashes(pool(**written)) == hashes(pool())
    probe = {"path": "/healthz", "timeoutSeconds": 10, "periodSeconds": 9}
    assert hashes(pool(worker={"livenessProbe": probe})) == hashes(pool(worker={"livenessProbe": {"periodSeconds": 9}}))


def test_a_field_that_a_newer_operator_adds_changes_no_hash() -> None:
    class Newer(WorkerSpec):
        kind: str = "io"

    before = pool()
    worker = Newer.model_validate(before.spec.worker.to_json())
    after = before.changed(spec=before.spec.changed(worker=worker))
    assert hashes(after) == hashes(before)


def test_the_defaults_of_hashed_fields_stay_what_they_are() -> None:
    """A changed default would give every pool that leaves the field out another pod under the same hash."""
    shown = WorkerSpec(image="x").model_dump(mode="json", by_alias=True, exclude={"image"})
    assert {field: value for field, value in shown.items() if value} == {
        "resources": {"requests": None, "limits": None},
        "affinity": {"nodeAffinity": None, "podAffinity": None, "podAntiAffinity": None},
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
    }
