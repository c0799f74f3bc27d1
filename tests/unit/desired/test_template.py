"""The pod template: the contract, the restricted security context, and nothing that may change in a pod's life."""

import json
from typing import Any

import pytest

import workerpool.protocol
import workerpool_operator.protocol
from tests.support.pools import pool, queue
from tests.support.rich_pool import rich_pool
from workerpool.broker import TenantLimit
from workerpool.runtime.contract import Contract
from workerpool.runtime.live import Policy
from workerpool_operator.api import CONTRACT_ENV, CONTRACT_ENV_PREFIXES, WorkerPool
from workerpool_operator.domain.desired import RenderError, contract
from workerpool_operator.domain.desired.collector import OPERATOR_AUDIENCE
from workerpool_operator.domain.desired.template import pod_template


def template(asked: WorkerPool) -> dict[str, Any]:
    return pod_template(asked, version="0011aabb", revision="00aa11")


def pod(asked: WorkerPool) -> dict[str, Any]:
    found: dict[str, Any] = template(asked)["spec"]
    return found


def container(asked: WorkerPool) -> dict[str, Any]:
    (found,) = pod(asked)["containers"]
    assert isinstance(found, dict)
    return found


def env(asked: WorkerPool) -> dict[str, Any]:
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container(asked)["env"]}


def test_the_contract_is_in_the_environment() -> None:
    assert env(pool()) == {
        "WORKERPOOL_POD": {"fieldRef": {"fieldPath": "metadata.name"}},
        "WORKERPOOL_NODE": {"fieldRef": {"fieldPath": "spec.nodeName"}},
        "WORKERPOOL_NAME": "thumbs",
        "WORKERPOOL_NAMESPACE": "media",
        "WORKERPOOL_VERSION": "0011aabb",
        "WORKERPOOL_COLLECTOR": "workerpool-collector.media.svc:8090",
        "MAX_WORKERS": "20",
        "HEARTBEAT_INTERVAL": "10",
        "DRAIN_TIMEOUT": "60",
        "STUCK_AFTER": "45",
        "LEASE_SECONDS": "60",
        "MAX_ATTEMPTS": "5",
        "BACKOFF_SECONDS": "1",
        "BACKOFF_MAX_SECONDS": "60",
        "QUEUE_MAIN_URL": "redis://redis:6379/0",
        "QUEUE_MAIN_STREAM": "s",
        "QUEUE_MAIN_GROUP": "g",
    }


def test_the_sdk_reads_back_what_the_pool_says() -> None:
    asked = pool(
        worker={"maxWorkers": 7, "heartbeatPeriodSeconds": 5, "drainTimeoutSeconds": 30, "stuckAfterSeconds": 40},
        delivery={
            "maxAttempts": 3,
            "backoffSeconds": 2,
            "backoffMaxSeconds": 9,
            "leaseSeconds": 50,
            "rateLimitPerSecond": "0.5",
            "concurrencyPerWorker": 6,
            "tenantLimits": {"$acme": {"ratePerSecond": "2.5"}, "*": {"ratePerSecond": 7, "maxInFlight": 3}},
            "shedAfterSeconds": {"low": 600, "high": 5},
        },
        queues=[queue(), queue("thumbs-high", redisStream={"url": "redis://other:6379/1", "stream": "high"})],
    )
    rendered = {name: value.replace("$$", "$") for name, value in env(asked).items() if isinstance(value, str)}
    read = Contract.from_env(rendered)
    assert (read.pool, read.namespace, read.version) == ("thumbs", "media", "0011aabb")
    assert read.collector == "workerpool-collector.media.svc:8090"
    assert (read.slots, read.heartbeat_seconds, read.drain_seconds, read.stuck_seconds) == (7, 5, 30, 40)
    assert read.policy == Policy(
        max_attempts=3,
        backoff_seconds=2,
        backoff_max_seconds=9,
        lease_seconds=50,
        rate_limit_per_second=0.5,
        concurrency_per_worker=6,
        tenant_limits={"$acme": TenantLimit(2.5), "*": TenantLimit(7.0, 3)},
        shed_after={"low": 600.0, "high": 5.0},
    )
    assert [(source.name, source.url, source.stream, source.group) for source in read.sources] == [
        ("main", "redis://redis:6379/0", "s", "g"),
        ("thumbs-high", "redis://other:6379/1", "high", "g"),
    ]


def test_a_queues_credentials_are_files_that_the_environment_names() -> None:
    found = {name: value for name, value in env(rich_pool()).items() if name.endswith("_FILE")}
    assert found == {
        "QUEUE_MAIN_USERNAME_FILE": "/credentials/main/username",
        "QUEUE_MAIN_PASSWORD_FILE": "/credentials/main/password",
        "QUEUE_THUMBS_HIGH_PASSWORD_FILE": "/credentials/thumbs-high/password",
        "QUEUE_THUMBS_HIGH_CA_FILE": "/credentials/thumbs-high/ca.crt",
        "QUEUE_THUMBS_HIGH_CERT_FILE": "/credentials/thumbs-high/tls.crt",
        "QUEUE_THUMBS_HIGH_KEY_FILE": "/credentials/thumbs-high/tls.key",
    }


def test_every_variable_of_the_contract_is_refused_in_the_users_own() -> None:
    names = set(env(rich_pool())) - {"MODE", "TOKEN", "CPUS"}
    assert {name for name in names if name not in CONTRACT_ENV and not name.startswith(CONTRACT_ENV_PREFIXES)} == set()
    assert set(CONTRACT_ENV) <= names


def test_the_users_variables_come_after_the_contract_so_that_they_can_refer_to_it() -> None:
    names = [entry["name"] for entry in container(rich_pool())["env"]]
    assert names[-3:] == ["MODE", "TOKEN", "CPUS"]


def test_a_dollar_in_a_name_is_a_dollar() -> None:
    asked = pool(queues=[queue(redisStream={"stream": "a$(MAX_WORKERS)$$b"})])
    assert env(asked)["QUEUE_MAIN_STREAM"] == "a$$(MAX_WORKERS)$$$$b"


def test_the_users_own_references_are_left_alone() -> None:
    asked = pool(worker={"env": [{"name": "WHO", "value": "$(WORKERPOOL_POD)"}]})
    assert env(asked)["WHO"] == "$(WORKERPOOL_POD)"


def test_credentials_are_mounted_by_name_and_may_be_missing() -> None:
    volumes = {volume["name"]: volume for volume in pod(rich_pool())["volumes"]}
    assert volumes["workerpool-credentials"]["projected"]["sources"] == [
        {
            "secret": {
                "name": "redis",
                "items": [
                    {"key": "user", "path": "main/username"},
                    {"key": "password", "path": "main/password"},
                ],
                "optional": True,
            }
        },
        {
            "secret": {
                "name": "redis-high",
                "items": [{"key": "password", "path": "thumbs-high/password"}],
                "optional": True,
            }
        },
        {
            "configMap": {
                "name": "ca",
                "items": [{"key": "bundle.pem", "path": "thumbs-high/ca.crt"}],
                "optional": True,
            }
        },
        {
            "secret": {
                "name": "cert",
                "items": [
                    {"key": "tls.crt", "path": "thumbs-high/tls.crt"},
                    {"key": "tls.key", "path": "thumbs-high/tls.key"},
                ],
                "optional": True,
            }
        },
    ]
    assert {"name": "workerpool-credentials", "mountPath": "/credentials", "readOnly": True} in container(rich_pool())[
        "volumeMounts"
    ]


def test_a_certificate_authority_may_lie_in_a_secret() -> None:
    asked = pool(queues=[queue(redisStream={"url": "rediss://redis"}, tls={"caRef": {"name": "ca"}})])
    assert contract.credential_sources(asked.spec.queues[0], directory="x") == [
        {"secret": {"name": "ca", "items": [{"key": "ca.crt", "path": "x/ca.crt"}], "optional": True}}
    ]


def test_a_pool_without_credentials_mounts_none() -> None:
    assert "credentials" not in json.dumps(template(pool()))


def test_the_worker_has_a_token_for_its_collector_and_none_for_the_api_server() -> None:
    spec = pod(pool())
    assert spec["automountServiceAccountToken"] is False
    tokens = [
        source["serviceAccountToken"]
        for volume in spec["volumes"]
        for source in volume.get("projected", {}).get("sources", [])
        if "serviceAccountToken" in source
    ]
    assert tokens == [{"audience": "workerpool-collector", "expirationSeconds": 3600, "path": "token"}]
    mounts = {mount["name"]: mount["mountPath"] for mount in container(pool())["volumeMounts"]}
    assert f"{mounts['workerpool-token']}/token" == workerpool.protocol.TOKEN_FILE


def test_audiences_are_those_of_the_protocols() -> None:
    assert contract.TOKEN_AUDIENCE == workerpool.protocol.TOKEN_AUDIENCE
    assert OPERATOR_AUDIENCE == workerpool_operator.protocol.TOKEN_AUDIENCE


def test_other_services_of_the_namespace_leave_no_variables() -> None:
    """A Service named queue-main would set QUEUE_MAIN_SERVICE_HOST and the like."""
    assert pod(pool())["enableServiceLinks"] is False


@pytest.mark.parametrize("asked", [pool(), rich_pool()], ids=["smallest", "rich"])
def test_the_security_context_is_the_restricted_one(asked: WorkerPool) -> None:
    worker = asked.spec.worker
    assert pod(asked)["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": worker.run_as_user,
        "runAsGroup": worker.fs_group,
        "fsGroup": worker.fs_group,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container(asked)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }


def test_the_probes_are_those_that_users_were_promised() -> None:
    assert container(pool())["livenessProbe"] == {
        "httpGet": {"path": "/healthz", "port": 8080},
        "initialDelaySeconds": 15,
        "periodSeconds": 20,
        "timeoutSeconds": 10,
        "failureThreshold": 2,
        "terminationGracePeriodSeconds": 10,
    }
    assert container(pool())["readinessProbe"] == {
        "httpGet": {"path": "/ready", "port": 8080},
        "initialDelaySeconds": 5,
        "periodSeconds": 10,
        "timeoutSeconds": 5,
        "failureThreshold": 3,
    }


def test_the_probes_can_be_tuned() -> None:
    assert container(rich_pool())["livenessProbe"]["httpGet"] == {"path": "/alive", "port": 9090}
    assert container(rich_pool())["livenessProbe"]["periodSeconds"] == 7
    assert container(rich_pool())["readinessProbe"]["initialDelaySeconds"] == 1


@pytest.mark.parametrize(
    ("port", "ports"),
    [(8080, {"metrics": 8000, "health": 8080}), (9090, {"metrics": 8000, "health": 9090}), (8000, {"metrics": 8000})],
)
def test_ports_are_named_and_named_once(port: int, ports: dict[str, int]) -> None:
    asked = pool(worker={"livenessProbe": {"port": port}})
    assert {found["name"]: found["containerPort"] for found in container(asked)["ports"]} == ports


def test_a_stopping_worker_has_more_time_than_it_needs_to_drain() -> None:
    assert pod(pool())["terminationGracePeriodSeconds"] == 85
    assert pod(rich_pool())["terminationGracePeriodSeconds"] == 145


def test_the_operators_labels_win_over_the_users() -> None:
    """The API server refuses such a label; a pool stored under older rules may have one."""
    asked = pool(worker={"podLabels": {"workerpool.dev/pool": "other", "team": "media"}})
    assert template(asked)["metadata"]["labels"] == {
        "team": "media",
        "app.kubernetes.io/managed-by": "workerpool-operator",
        "app.kubernetes.io/component": "worker",
        "workerpool.dev/pool": "thumbs",
        "workerpool.dev/version": "0011aabb",
        "workerpool.dev/revision": "00aa11",
    }


def test_only_tmp_can_be_written_to() -> None:
    assert {"name": "workerpool-tmp", "emptyDir": {}} in pod(pool())["volumes"]
    assert {"name": "workerpool-tmp", "mountPath": "/tmp"} in container(pool())["volumeMounts"]


@pytest.mark.parametrize("path", ["/tmp", "/tmp/"])
def test_a_user_may_mount_something_else_at_tmp(path: str) -> None:
    mount = {"name": "scratch", "mountPath": path}
    asked = pool(worker={"volumes": [{"name": "scratch", "emptyDir": {}}], "volumeMounts": [mount]})
    assert [found["name"] for found in container(asked)["volumeMounts"]] == ["workerpool-token", "scratch"]
    assert [found["name"] for found in pod(asked)["volumes"]] == ["workerpool-token", "scratch"]


def test_the_users_fields_reach_the_pod() -> None:
    spec, worker = pod(rich_pool()), container(rich_pool())
    assert worker["image"] == "registry.example/thumbs:1.4.2"
    assert worker["imagePullPolicy"] == "Always"
    assert (worker["command"], worker["args"]) == (["python", "-m", "thumbs"], ["--quiet"])
    assert worker["envFrom"] == [{"configMapRef": {"name": "settings"}}]
    assert spec["nodeSelector"] == {"disk": "ssd"}
    assert spec["affinity"] == rich_pool().spec.worker.affinity.to_json()
    assert spec["tolerations"] == [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert spec["imagePullSecrets"] == [{"name": "registry"}]
    assert spec["priorityClassName"] == "high"
    assert template(rich_pool())["metadata"]["annotations"] == {"note": "text"}
    assert {"name": "shared", "persistentVolumeClaim": {"claimName": "shared"}} in spec["volumes"]
    assert {"name": "config", "mountPath": "/etc/thumbs", "readOnly": True} in worker["volumeMounts"]


def test_workers_run_as_the_account_that_is_named_without_a_token_of_it() -> None:
    """Those that are mounted are worth something to the collector only."""
    spec = pod(pool(worker={"serviceAccountName": "uploader"}))
    assert spec["serviceAccountName"] == "uploader"
    assert spec["automountServiceAccountToken"] is False


def test_what_is_not_asked_for_is_left_out() -> None:
    assert set(pod(pool())) == {
        "automountServiceAccountToken",
        "enableServiceLinks",
        "terminationGracePeriodSeconds",
        "securityContext",
        "containers",
        "volumes",
    }
    assert "annotations" not in template(pool())["metadata"]
    assert not {"command", "args", "envFrom", "resources"} & set(container(pool()))


def test_amounts_are_spelled_as_the_api_server_stores_them() -> None:
    worker = container(rich_pool())
    assert worker["resources"] == {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"cpu": "2"}}
    assert env(rich_pool())["CPUS"] == {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1"}}
    assert {"name": "scratch", "emptyDir": {"sizeLimit": "2Gi"}} in pod(rich_pool())["volumes"]


def test_workers_are_spread_among_themselves_unless_told_otherwise() -> None:
    constraint = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
    own = constraint | {"topologyKey": "host", "labelSelector": {"matchLabels": {"team": "media"}}}
    asked = pool(worker={"topologySpreadConstraints": [constraint, own]})
    assert pod(asked)["topologySpreadConstraints"] == [
        constraint | {"labelSelector": {"matchLabels": {"workerpool.dev/pool": "thumbs"}}},
        own,
    ]


@pytest.mark.parametrize(
    ("worker", "words"),
    [
        ({"resources": {"limits": {"cpu": "two"}}}, "'two' is not an amount"),
        ({"volumeMounts": [{"name": "data", "mountPath": "/data"}]}, "worker.volumeMounts names data, which"),
    ],
)
def test_what_cannot_be_rendered_is_named(worker: dict[str, Any], words: str) -> None:
    with pytest.raises(RenderError, match=words):
        template(pool(worker=worker))


def test_a_queue_of_a_kind_that_only_a_newer_definition_has_is_named() -> None:
    with pytest.raises(RenderError, match="queue main is of a kind that this version of the operator does not know"):
        template(pool(queues=[{"name": "main", "pigeons": {"url": "pigeon://loft"}}]))


def test_nothing_that_changes_in_a_pods_life_is_in_the_template() -> None:
    """Two pools that differ in size, mode and role alone are rendered alike."""
    one = template(pool(replicas=1, scaling={"mode": "manual"}))
    other = template(pool(replicas=9, scaling={"maxReplicas": 9, "targets": {"queueDepth": 4}}))
    assert one == other
    assert "role" not in json.dumps(one).lower()
