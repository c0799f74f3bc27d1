"""What `bench.scale` takes for arrived, of what watches say."""

from typing import Any

import pytest
import yaml

from bench.pools.workerpool import pool_of
from bench.scale.ground import without_addresses
from bench.scale.watched import Goal, Names, Pods, Pools
from e2e.cluster import paths
from workerpool_operator.domain.desired import COMPONENT_LABEL, POOL_LABEL

KEY = ("team", "a")
OLD = Goal(image="worker:1", size=2)
NEW = Goal(image="worker:2", size=2)


def metadata(name: str, pool: str = "a") -> dict[str, Any]:
    labels = {COMPONENT_LABEL: "worker", POOL_LABEL: pool}
    return {"namespace": "team", "name": name, "uid": f"uid-{name}", "labels": labels}


def deployment(name: str, image: str, wanted: int, *, there: int, ready: int) -> dict[str, Any]:
    template = {"spec": {"containers": [{"name": "worker", "image": image}]}}
    return {
        "metadata": metadata(name),
        "spec": {"replicas": wanted, "template": template},
        "status": {"replicas": there, "readyReplicas": ready},
    }


def pod(name: str, phase: str) -> dict[str, Any]:
    return {"metadata": metadata(name), "status": {"phase": phase}}


def test_a_pool_has_arrived_when_all_its_workers_are_ready_and_not_before() -> None:
    pools = Pools(pool_of=pool_of, goal=OLD)
    pools.hear("ADDED", deployment("a-1", "worker:1", 2, there=2, ready=1))
    assert not pools.arrived
    pools.hear("MODIFIED", deployment("a-1", "worker:1", 2, there=2, ready=2))
    assert pools.arrived == {KEY}


def test_a_new_version_has_arrived_when_the_old_one_is_gone() -> None:
    pools = Pools(pool_of=pool_of, goal=OLD)
    pools.hear("ADDED", deployment("a-1", "worker:1", 2, there=2, ready=2))
    pools.aim(NEW)
    assert not pools.arrived
    pools.hear("ADDED", deployment("a-2", "worker:2", 2, there=2, ready=2))
    pools.hear("MODIFIED", deployment("a-1", "worker:1", 0, there=1, ready=1))
    assert not pools.arrived
    pools.hear("MODIFIED", deployment("a-1", "worker:1", 0, there=0, ready=0))
    assert pools.arrived == {KEY}
    pools.hear("DELETED", deployment("a-1", "worker:1", 0, there=0, ready=0))
    assert pools.arrived == {KEY}


def test_a_deployment_without_a_status_and_one_of_a_collector_have_not_arrived() -> None:
    pools = Pools(pool_of=pool_of, goal=OLD)
    made = deployment("a-1", "worker:1", 2, there=0, ready=0)
    del made["status"]
    pools.hear("ADDED", made)
    pools.hear("ADDED", {"metadata": {"namespace": "team", "name": "workerpool-collector"}})
    assert not pools.arrived


def test_a_pool_is_told_of_once_for_each_pod_that_runs_and_goes() -> None:
    told = list[tuple[str, str]]()
    pods = Pods(pool_of=pool_of, changed=told.append)
    for event, phase in (("ADDED", "Pending"), ("MODIFIED", "Running"), ("MODIFIED", "Running")):
        pods.hear(event, pod("x", phase))
    assert (pods.of(KEY), told) == ({"uid-x": "x"}, [KEY])
    pods.hear("DELETED", pod("x", "Running"))
    assert (pods.of(KEY), told) == ({}, [KEY, KEY])
    assert pods.of(("team", "unknown")) == {}


def test_names_come_and_go() -> None:
    names = Names()
    names.hear("ADDED", {"metadata": metadata("x")})
    names.hear("MODIFIED", {"metadata": metadata("x")})
    names.hear("ADDED", {"metadata": metadata("y")})
    names.hear("DELETED", {"metadata": metadata("x")})
    assert names.there == {("team", "y")}


def test_pods_on_fake_nodes_have_no_address_and_become_ready_all_the_same() -> None:
    stages = without_addresses((paths.SOURCE / "kwok.yaml").read_text())
    ready = next(one for one in yaml.safe_load_all(stages) if one["metadata"]["name"] == "pod-ready")
    template = ready["spec"]["next"]["statusTemplate"]
    assert "podIP" not in template
    assert "type: Ready" in template
    assert template.count("{{ end }}") == sum(template.count(f"{{{{ {word} ") for word in ("range", "with", "if"))
    assert "phase: Running" in template


def test_other_stages_are_refused() -> None:
    with pytest.raises(ValueError, match="another way"):
        without_addresses("stages")
