"""What the tests run on a cluster is what users apply."""

from pathlib import Path
from typing import Any

import pytest

from e2e.cluster.base import Wish
from e2e.cluster.external import ExternalCluster
from e2e.cluster.local import LocalCluster
from e2e.shipping import stage
from e2e.shipping.files import LOKI, SHIPPER, documents

MADE = {SHIPPER: "shipper:1", LOKI: "loki:1"}


def pods(objects: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The pods' specs, by the names of their workloads."""
    found = [one for one in objects if one["kind"] in {"Deployment", "DaemonSet"}]
    return {one["metadata"]["name"]: one["spec"]["template"]["spec"] for one in found}


def test_on_one_machine_each_node_has_its_own_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    cluster = LocalCluster(Wish(name="c"))
    pod = pods(stage.objects(cluster, MADE))[SHIPPER]
    assert pod["containers"][0]["image"] == "shipper:1"
    mounts = {one["name"]: one.get("subPathExpr") for one in pod["containers"][0]["volumeMounts"]}
    assert mounts == {"config": None, "logs": "$(NODE_NAME)/logs", "state": "$(NODE_NAME)/host/var/lib/log-shipper"}
    folders = {one["hostPath"]["path"] for one in pod["volumes"] if "hostPath" in one}
    assert folders == {str(cluster.home)}


def test_elsewhere_the_files_are_run_as_they_are_but_for_the_images(tmp_path: Path) -> None:
    (kubeconfig := tmp_path / "config").touch()
    objects = stage.objects(ExternalCluster(kubeconfig), MADE)
    expected = [*documents(LOKI), *documents(SHIPPER)]
    for name, pod in pods(expected).items():
        pod["containers"][0] |= {"image": MADE[name], "imagePullPolicy": "IfNotPresent"}
    assert objects == expected
