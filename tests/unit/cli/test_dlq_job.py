"""The Job that looks into a pool's queues: what it is given, and what it is not."""

from typing import Any

import pytest

from tests.support.pools import pool, queue
from workerpool_operator.cli.cluster import TroubleError
from workerpool_operator.cli.dlq.job import image_of, job

SECRET = {"secretKeyRef": {"name": "redis", "key": "password"}}
DEPLOYMENT = {
    "spec": {
        "template": {
            "spec": {
                "imagePullSecrets": [{"name": "registry"}],
                "serviceAccountName": "workerpool-collector",
                "containers": [{"image": "operator:1", "imagePullPolicy": "Never", "env": [{"name": "A"}]}],
            }
        }
    }
}


def made(**spec: Any) -> dict[str, Any]:
    return job(pool(**spec), ["list"], name="thumbs-dlq-1", image=image_of(DEPLOYMENT), seconds=60)


def pod(body: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = body["spec"]["template"]["spec"]
    return found


def test_it_mounts_the_pools_credentials_and_no_token() -> None:
    found = pod(made(queues=[queue(credentials={"password": SECRET})]))
    [credentials] = [volume for volume in found["volumes"] if volume["name"] == "credentials"]
    [source] = credentials["projected"]["sources"]
    assert source["secret"]["name"] == "redis"
    assert found["automountServiceAccountToken"] is False
    assert "serviceAccountName" not in found
    env = {one["name"]: one["value"] for one in found["containers"][0]["env"]}
    assert env["QUEUE_MAIN_PASSWORD_FILE"] == "/credentials/main/password"
    assert all(name.startswith("QUEUE_") for name in env)


def test_it_runs_the_collectors_image_and_nothing_else_of_it() -> None:
    found = pod(made())
    container = found["containers"][0]
    assert (container["image"], container["imagePullPolicy"]) == ("operator:1", "Never")
    assert found["imagePullSecrets"] == [{"name": "registry"}]


def test_it_is_no_worker_of_the_pool_and_does_not_outlive_it() -> None:
    """With the label of workers it would be counted as one."""
    body = made()
    assert "workerpool.dev/pool" not in body["metadata"]["labels"]
    assert "workerpool.dev/pool" not in body["spec"]["template"]["metadata"]["labels"]
    [owner] = body["metadata"]["ownerReferences"]
    assert (owner["name"], owner.get("controller")) == ("thumbs", None)
    assert body["spec"]["ttlSecondsAfterFinished"] > 0
    assert (body["spec"]["backoffLimit"], body["spec"]["activeDeadlineSeconds"]) == (0, 60)


def test_kubernetes_fills_in_nothing() -> None:
    """`$(NAME)` in an argument would be replaced by a variable's value."""
    found = job(pool(), ["--job-id=$(QUEUE_MAIN_URL)"], name="n", image=image_of(DEPLOYMENT), seconds=60)
    assert pod(found)["containers"][0]["args"] == ["--job-id=$$(QUEUE_MAIN_URL)"]


def test_a_pool_without_queues_of_its_own_is_told() -> None:
    address = {"url": "http://prometheus:9090", "query": "x"}
    with pytest.raises(TroubleError, match="has no queue whose dead letters"):
        made(queues=[{"name": "main", "prometheus": address}])
