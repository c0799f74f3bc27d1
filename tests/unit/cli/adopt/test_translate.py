"""A pool from a Deployment: nothing is lost without a word."""

from typing import Any

import pytest

from tests.unit.cli.adopt.deployments import QUEUE, WISH, deployment
from workerpool_operator.api import parse
from workerpool_operator.cli.adopt.handover import blocked_by
from workerpool_operator.cli.adopt.queues import parse_queue
from workerpool_operator.cli.adopt.translate import NotAdoptableError, Wish, translate


def test_what_a_pool_can_take_over_is_taken_over() -> None:
    """Image, environment, resources, volumes and labels; not the labels by which the Deployment finds its pods."""
    made = translate(deployment(), WISH)
    assert made.left_out == ()
    assert made.pool == {
        "apiVersion": "workerpool.dev/v1alpha1",
        "kind": "WorkerPool",
        "metadata": {
            "name": "thumbs",
            "namespace": "media",
            "annotations": {"workerpool.dev/adopted-from": "thumbs"},
        },
        "spec": {
            "worker": {
                "image": "registry.example/thumbs:1.4.2",
                "env": [
                    {"name": "MODE", "value": "fast"},
                    {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
                ],
                "resources": {"requests": {"cpu": "500m"}, "limits": {"memory": "1Gi"}},
                "imagePullPolicy": "Always",
                "volumes": [{"name": "models", "configMap": {"name": "models", "defaultMode": 420}}],
                "volumeMounts": [{"name": "models", "mountPath": "/models"}],
                "drainTimeoutSeconds": 60,
                "podLabels": {"team": "media"},
                "podAnnotations": {"example.com/owner": "ann"},
            },
            "queues": [QUEUE],
            "scaling": {"minReplicas": 3, "maxReplicas": 3},
        },
    }
    metadata = {**made.pool["metadata"], "uid": "1", "resourceVersion": "1", "generation": 1}
    assert parse({**made.pool, "metadata": metadata}).name == "thumbs"


@pytest.mark.parametrize(
    ("container", "pod", "lost"),
    [
        ({"lifecycle": {"preStop": {"sleep": {"seconds": 5}}}}, {}, ["lifecycle"]),
        ({"workingDir": "/app"}, {}, ["workingDir"]),
        ({"livenessProbe": {"exec": {"command": ["true"]}}}, {}, ["livenessProbe (only checks by HTTP on a numbered"]),
        ({"securityContext": {"capabilities": {"add": ["SYS_PTRACE"]}}}, {}, ["securityContext.capabilities"]),
        ({"env": [{"name": "QUEUE_MAIN_URL", "value": "x"}]}, {}, ["env QUEUE_MAIN_URL (the operator sets it)"]),
        ({}, {"hostNetwork": True}, ["hostNetwork"]),
        ({}, {"initContainers": [{"name": "init"}]}, ["init container init"]),
        ({}, {"securityContext": {"sysctls": [{"name": "a", "value": "b"}]}}, ["securityContext.sysctls"]),
        ({}, {"volumes": [{"name": "models", "hostPath": {"path": "/"}}]}, ["volume models (hostPath)"]),
        ({"volumeMounts": [{"name": "models", "mountPath": "/m", "subPathExpr": "$(A)"}]}, {}, ["subPathExpr"]),
    ],
)
def test_what_a_pool_cannot_take_over_is_named(container: dict[str, Any], pod: dict[str, Any], lost: list[str]) -> None:
    """And is not in it."""
    made = translate(deployment(container=container, **pod), WISH)
    assert len(made.left_out) == len(lost)
    assert all(words in told for words, told in zip(lost, made.left_out, strict=True))
    assert "hostPath" not in str(made.pool)


def test_the_service_account_is_taken_over_with_what_it_needs() -> None:
    """The API server writes its name twice; that which all have goes unsaid."""
    made = translate(deployment(serviceAccountName="robot", serviceAccount="robot"), WISH)
    assert made.pool["spec"]["worker"]["serviceAccountName"] == "robot"
    assert made.left_out == ()
    [note] = [note for note in made.notes if "robot" in note]
    assert 'once it has the label workerpool.dev/usable: "true"' in note
    usual = translate(deployment(serviceAccountName="default", serviceAccount="default"), WISH)
    assert "serviceAccountName" not in usual.pool["spec"]["worker"]
    assert usual.left_out == ()


def test_what_holds_for_every_worker_anyway_is_not_lost() -> None:
    """The usual hardening, and what the API server writes by itself."""
    hardened = {"runAsNonRoot": True, "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    made = translate(
        deployment(container={"securityContext": hardened}, securityContext={"runAsUser": 1000, "fsGroup": 2000}), WISH
    )
    assert made.left_out == ()
    worker = made.pool["spec"]["worker"]
    assert (worker["runAsUser"], worker["fsGroup"]) == (1000, 2000)


def test_the_contract_s_variables_become_fields() -> None:
    """Which the operator then sets."""
    env = [{"name": "MAX_WORKERS", "value": "8"}, {"name": "HEARTBEAT_INTERVAL", "value": "5"}]
    worker = translate(deployment(container={"env": env}), WISH).pool["spec"]["worker"]
    assert (worker["maxWorkers"], worker["heartbeatPeriodSeconds"], "env" in worker) == (8, 5, False)


def test_checks_by_http_are_taken_over() -> None:
    """With their times; where there is none the contract's own holds, and is told."""
    check = {"httpGet": {"path": "/alive", "port": 9000, "scheme": "HTTP"}, "periodSeconds": 7, "successThreshold": 1}
    made = translate(deployment(container={"livenessProbe": check}), WISH)
    assert made.pool["spec"]["worker"]["livenessProbe"] == {"path": "/alive", "port": 9000, "periodSeconds": 7}
    assert not any("liveness" in note for note in made.notes)
    assert any("no liveness check" in note for note in translate(deployment(), WISH).notes)


@pytest.mark.parametrize(("grace", "drain"), [(30, 5), (25, 25), (85, 60), (1, 1)])
def test_workers_have_no_less_time_to_stop_than_before(grace: int, drain: int) -> None:
    """The pods' grace period is the drain timeout and 25 s."""
    worker = translate(deployment(terminationGracePeriodSeconds=grace), WISH).pool["spec"]["worker"]
    assert worker["drainTimeoutSeconds"] == drain
    assert drain + 25 >= grace


def test_bounds_are_the_autoscaler_s_unless_others_are_said() -> None:
    """Without one there are as many workers as there were pods."""
    hpa = {"spec": {"minReplicas": 2, "maxReplicas": 9}}
    of_hpa = translate(deployment(), WISH, autoscaler=hpa).pool["spec"]["scaling"]
    said = translate(deployment(), Wish(queues=[QUEUE], minimum=0, maximum=7), autoscaler=hpa).pool["spec"]["scaling"]
    assert (of_hpa, said) == ({"minReplicas": 2, "maxReplicas": 9}, {"minReplicas": 0, "maxReplicas": 7})


def test_who_has_to_delete_an_autoscaler_is_told_its_bounds() -> None:
    """Nothing knows them any more when the command is run again."""
    hpa = {"metadata": {"name": "thumbs"}, "spec": {"minReplicas": 2, "maxReplicas": 9}}
    told = blocked_by(hpa, scaling=translate(deployment(), WISH, autoscaler=hpa).pool["spec"]["scaling"])
    assert "--min 2 --max 9" in told
    again = Wish(queues=[QUEUE], minimum=2, maximum=9)
    assert translate(deployment(), again).pool["spec"]["scaling"] == {"minReplicas": 2, "maxReplicas": 9}


@pytest.mark.parametrize(
    ("body", "wish", "words"),
    [
        (deployment(securityContext={"runAsUser": 0}), WISH, "it runs as root"),
        (deployment(), Wish(queues=[QUEUE], name="n" * 48), "at most 47 characters"),
        (deployment(), Wish(queues=[QUEUE], minimum=9, maximum=3), "--min 9 is above --max 3"),
        (deployment(), Wish(queues=[QUEUE], container="other"), "containers worker: say which is the worker"),
        (deployment(container={"image": "two words"}), WISH, "image: String should match pattern"),
        (
            deployment() | {"spec": {**deployment()["spec"], "selector": {"matchLabels": {}}}},
            WISH,
            "would take the pool's workers for its own pods",
        ),
    ],
)
def test_a_deployment_that_no_pool_could_replace_is_refused(body: dict[str, Any], wish: Wish, words: str) -> None:
    """With what to do about it."""
    with pytest.raises(NotAdoptableError, match=words):
        translate(body, wish)


def test_of_several_containers_the_one_that_is_named_is_the_worker() -> None:
    """Or the one that kubectl would take; the others are no part of a pool."""
    body = deployment()
    pod = body["spec"]["template"]["spec"]
    pod["containers"].append({"name": "proxy", "image": "proxy:1"})
    with pytest.raises(NotAdoptableError, match="containers worker, proxy"):
        translate(body, WISH)
    assert translate(body, Wish(queues=[QUEUE], container="worker")).left_out == ("container proxy",)
    body["spec"]["template"]["metadata"]["annotations"]["kubectl.kubernetes.io/default-container"] = "proxy"
    assert translate(body, WISH).pool["spec"]["worker"]["image"] == "proxy:1"


def test_a_queue_is_said_in_one_word() -> None:
    """With its credentials, and lists where a kind has some."""
    text = "redisList,url=redis://redis:6379/0,keys=a;b,name=celery,usernameSecret=redis/user,passwordSecret=redis/pass"
    assert parse_queue(text, name="main") == {
        "name": "celery",
        "redisList": {"url": "redis://redis:6379/0", "keys": ["a", "b"]},
        "credentials": {
            "username": {"secretKeyRef": {"name": "redis", "key": "user"}},
            "password": {"secretKeyRef": {"name": "redis", "key": "pass"}},
        },
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "begins with one of redisStream"),
        ("sqs,url=x", "begins with one of redisStream"),
        ("redisStream,url", "'url' is not field=value"),
        ("redisStream,=x", "is not field=value"),
        ("redisStream,passwordSecret=redis", "passwordSecret is written as SECRET/KEY"),
    ],
)
def test_a_queue_that_cannot_be_read_is_refused(text: str, words: str) -> None:
    """With an example, or how that part is written."""
    with pytest.raises(ValueError, match=words):
        parse_queue(text, name="main")
