"""Containers beside the worker: what they get, and what they are kept from."""

import json
from typing import Any

import pytest

from tests.support.pools import pool
from tests.support.rich_pool import SIDECARS, rich_pool
from workerpool_operator.api import WorkerPool
from workerpool_operator.domain.desired import hashes
from workerpool_operator.domain.desired.names import RenderError
from workerpool_operator.domain.desired.template import pod_template


def spec(asked: WorkerPool) -> dict[str, Any]:
    found: dict[str, Any] = pod_template(asked, version="v", revision="r")["spec"]
    return found


def test_they_start_before_the_worker_and_stop_after_it() -> None:
    """As Kubernetes' own sidecar containers; the worker stays the only container, and the first."""
    made = spec(rich_pool(sidecars=SIDECARS))
    assert [one["name"] for one in made["containers"]] == ["worker"]
    assert [(one["name"], one["restartPolicy"]) for one in made["initContainers"]] == [
        ("proxy", "Always"),
        ("shipper", "Always"),
    ]


def test_they_get_what_was_asked_for_them() -> None:
    proxy, shipper = spec(rich_pool(sidecars=SIDECARS))["initContainers"]
    assert (proxy["image"], proxy["command"], proxy["args"]) == ("proxy:1", ["/proxy"], ["--quiet"])
    assert proxy["imagePullPolicy"] == "Always"
    assert proxy["resources"] == {"requests": {"cpu": "500m"}, "limits": {"memory": "1Gi"}}
    assert [one["name"] for one in proxy["env"]] == ["MODE", "MEMORY"]
    assert proxy["env"][1]["valueFrom"]["resourceFieldRef"]["divisor"] == "1"
    assert shipper["volumeMounts"] == [{"name": "scratch", "mountPath": "/scratch", "readOnly": True}]
    assert "env" not in shipper


def test_they_have_no_part_in_what_the_operator_gives_to_the_worker() -> None:
    """No token, no credentials, no contract; and no right that the worker does not have."""
    made = spec(rich_pool(sidecars=SIDECARS))
    for one in made["initContainers"]:
        assert "workerpool" not in json.dumps(one)
        assert one["securityContext"] == made["containers"][0]["securityContext"]
        assert not {"livenessProbe", "ports", "lifecycle"} & one.keys()


def test_a_mount_of_no_volume_is_said_with_its_sidecar() -> None:
    mount = {"name": "workerpool-token", "mountPath": "/token"}
    asked = pool(worker={"sidecars": [{"name": "proxy", "image": "proxy:1", "volumeMounts": [mount]}]})
    with pytest.raises(RenderError, match=r"worker\.sidecars\[proxy\]\.volumeMounts names workerpool-token"):
        spec(asked)


def test_another_sidecar_is_another_version() -> None:
    before, after = hashes(rich_pool()), hashes(rich_pool(sidecars=SIDECARS))
    assert (before.version != after.version, before.revision == after.revision) == (True, True)


def test_a_pool_without_any_is_rendered_as_before() -> None:
    assert "initContainers" not in spec(rich_pool())
