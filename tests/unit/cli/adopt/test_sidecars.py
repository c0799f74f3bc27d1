"""Sidecar containers of a Deployment become the pool's; whatever else is beside its worker is named."""

from typing import Any

import pytest

from tests.unit.cli.adopt.deployments import WISH, deployment
from workerpool_operator.api import parse
from workerpool_operator.cli.adopt.translate import Adoption, NotAdoptableError, translate

VOLUMES = [{"name": "models", "configMap": {"name": "models"}}, {"name": "sockets", "emptyDir": {}}]
PROXY = {
    "name": "proxy",
    "image": "registry.example/proxy:2.1",
    "args": ["--listen", "127.0.0.1:5432"],
    "env": [{"name": "LEVEL", "value": "info"}],
    "resources": {"requests": {"cpu": "20m"}},
    "volumeMounts": [{"name": "sockets", "mountPath": "/run/proxy"}],
}


def adopted(**fields: Any) -> Adoption:
    """The Deployment with a sidecar that has these fields, too, as the API server gives it."""
    written = {
        "restartPolicy": "Always",
        "imagePullPolicy": "Always",
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
    }
    return translate(deployment(volumes=VOLUMES, initContainers=[{**PROXY, **written, **fields}]), WISH)


def test_a_sidecar_is_taken_over() -> None:
    """With all that it has; also the volume that nobody mounts but it."""
    made = adopted()
    assert made.left_out == ()
    worker = made.pool["spec"]["worker"]
    assert worker["sidecars"] == [PROXY]
    assert [volume["name"] for volume in worker["volumes"]] == ["models", "sockets"]
    metadata = {**made.pool["metadata"], "uid": "1", "resourceVersion": "1", "generation": 1}
    assert parse({**made.pool, "metadata": metadata}).spec.worker.sidecars[0].name == "proxy"


def test_without_a_sidecar_nothing_is_said_of_one() -> None:
    """An empty list is no setting."""
    made = translate(deployment(initContainers=[]), WISH)
    assert "sidecars" not in made.pool["spec"]["worker"]
    assert made.left_out == ()


@pytest.mark.parametrize(
    ("fields", "lost"),
    [
        ({"startupProbe": {"exec": {"command": ["true"]}}}, "init container proxy: startupProbe"),
        ({"lifecycle": {"preStop": {"sleep": {"seconds": 5}}}}, "init container proxy: lifecycle"),
        ({"imagePullPolicy": "Never"}, "init container proxy: imagePullPolicy (it is the worker's)"),
        ({"env": [{"name": "QUEUE_MAIN_URL", "value": "x"}]}, "init container proxy: env QUEUE_MAIN_URL (reserved)"),
        ({"securityContext": {"privileged": True}}, "init container proxy: securityContext.privileged"),
        ({"securityContext": {"runAsUser": 0}}, "init container proxy: securityContext.runAsUser"),
        ({"volumeMounts": [{"name": "sockets", "mountPath": "/r", "subPathExpr": "$(A)"}]}, "subPathExpr"),
    ],
)
def test_what_a_pool_s_sidecar_cannot_be_is_named(fields: dict[str, Any], lost: str) -> None:
    """And is not in it."""
    made = adopted(**fields)
    [told] = made.left_out
    assert lost in told
    [sidecar] = made.pool["spec"]["worker"]["sidecars"]
    assert sidecar.keys() <= PROXY.keys()
    assert "QUEUE_MAIN_URL" not in str(sidecar)


def test_the_worker_s_own_user_is_not_lost() -> None:
    """A sidecar of a pool runs as the worker does."""
    context = {"runAsUser": 1000, "runAsNonRoot": True}
    sidecar = {**PROXY, "restartPolicy": "Always", "imagePullPolicy": "Always", "securityContext": context}
    made = translate(
        deployment(volumes=VOLUMES, initContainers=[sidecar], container={"securityContext": {"runAsUser": 1000}}), WISH
    )
    assert made.left_out == ()
    assert made.pool["spec"]["worker"]["runAsUser"] == 1000


def test_a_volume_of_another_kind_goes_with_what_mounts_it() -> None:
    """Else the API server would refuse the pool."""
    path = {"name": "sockets", "hostPath": {"path": "/run"}}
    sidecar = {**PROXY, "restartPolicy": "Always", "imagePullPolicy": "Always"}
    made = translate(deployment(volumes=[VOLUMES[0], path], initContainers=[sidecar]), WISH)
    assert made.left_out == ("volume sockets (hostPath)",)
    assert "volumeMounts" not in made.pool["spec"]["worker"]["sidecars"][0]


def test_more_sidecars_than_a_pool_has_are_refused() -> None:
    """It says which field, since nothing could be left out that would do."""
    many = [{**PROXY, "name": f"p{n}", "restartPolicy": "Always", "imagePullPolicy": "Always"} for n in range(5)]
    with pytest.raises(NotAdoptableError, match="sidecars"):
        translate(deployment(volumes=VOLUMES, initContainers=many), WISH)
