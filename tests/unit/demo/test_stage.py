"""What the demo puts up, and what it takes away again."""

from typing import Any

import pytest

from e2e.cluster import Part, Provider
from e2e.demo import teardown as tearing
from e2e.demo.prepare import FOUND, manifest
from e2e.demo.teardown import teardown
from e2e.support import pools, redis
from e2e.support.kubectl import Kubectl
from workerpool_operator.api import parse


def test_the_example_is_a_pool_that_returns_to_zero_within_a_minute() -> None:
    pool = parse(manifest(image="worker:1"))
    assert pool.spec.worker.image == "worker:1"
    assert pool.spec.scaling.min_replicas == 0
    assert pool.spec.scaling.cooldown_seconds + pool.spec.scaling.scale_down.stabilization_seconds <= 15


def test_pools_of_tests_are_understood_by_the_operator() -> None:
    body = pools.worker_pool("p", "n", image="i:1", redis="redis://r:6379/0", scaling={"maxReplicas": 3})
    pool = parse(body)
    assert (pool.name, pool.namespace, pool.spec.scaling.max_replicas) == ("p", "n", 3)


def test_the_redis_of_the_example_is_put_into_the_namespace() -> None:
    found = redis.manifests("somewhere", image="redis:test")
    assert sorted(each["kind"] for each in found) == ["Deployment", "Service"]
    assert {each["metadata"]["namespace"] for each in found} == {"somewhere"}
    deployment = next(each for each in found if each["kind"] == "Deployment")
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == "redis:test"


class FakeCluster:
    """A cluster that tells whether it was taken down."""

    provider = "local"

    def __init__(self, *, up: bool) -> None:
        self.up_parts = [Part(name="api", up=up)]
        self.went_down = False

    def status(self) -> list[Part]:
        return self.up_parts

    def down(self) -> None:
        self.went_down = True


class FakeKubectl:
    """Holds the demo's namespace, or none, and hears what is deleted."""

    def __init__(self, found: str | None) -> None:
        self.namespace = None if found is None else {"metadata": {"annotations": {FOUND: found}}}
        self.deleted: list[str] = []

    def get(self, _kind: str, _name: str) -> Any:
        return self.namespace

    def delete(self, _kind: str, name: str) -> None:
        self.deleted.append(name)


def torn_down(monkeypatch: pytest.MonkeyPatch, *, up: bool, found: str | None) -> tuple[bool, list[str], bool]:
    """(whether the cluster went down, what was deleted in it, whether the operator was uninstalled)."""
    cluster, kubectl = FakeCluster(up=up), FakeKubectl(found)
    uninstalled: list[Any] = []
    monkeypatch.setattr(tearing, "get", lambda **_: cluster)
    monkeypatch.setattr(Kubectl, "of", lambda _: kubectl)
    monkeypatch.setattr(tearing, "uninstall", uninstalled.append)
    teardown(provider=Provider.AUTO, name=None)
    return cluster.went_down, kubectl.deleted, bool(uninstalled)


def test_a_cluster_that_the_demo_started_is_taken_down(monkeypatch: pytest.MonkeyPatch) -> None:
    assert torn_down(monkeypatch, up=True, found="") == (True, [], False)


def test_a_cluster_that_was_there_before_stays_without_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    assert torn_down(monkeypatch, up=True, found="cluster") == (False, ["workerpool-demo"], True)


def test_an_operator_that_was_there_before_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    assert torn_down(monkeypatch, up=True, found="cluster,operator") == (False, ["workerpool-demo"], False)


def test_a_cluster_without_a_demo_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert torn_down(monkeypatch, up=True, found=None) == (False, [], False)


def test_a_cluster_that_does_not_answer_is_taken_down(monkeypatch: pytest.MonkeyPatch) -> None:
    assert torn_down(monkeypatch, up=False, found="cluster") == (True, [], False)
