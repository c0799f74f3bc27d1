"""The chart by the real Helm: installed, upgraded, rolled back and removed while workers work. They notice nothing.

Each life begins with an earlier chart and its image (`e2e.chart`), in a namespace that enforces the Pod Security
Standard `restricted`. What other tests have installed goes at the beginning, and is back at the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from e2e.chart.frozen import Frozen
from e2e.chart.release import Release
from e2e.cluster import ClusterError
from e2e.scene import Scene, assert_nothing_lost, restarts
from e2e.support.kubectl import Json
from e2e.support.policies import Network
from e2e.support.stack import CHART, CRDS, NAMESPACE, TEST_VALUES, Stack, install
from e2e.support.wait import wait_for
from workerpool_operator.cli.load import steady

POOL = "served"
JOBS = 30
KEPT = {f"CustomResourceDefinition/{name}" for name in CRDS}


@pytest.fixture
def release(stack: Stack) -> Iterator[Release]:
    """No release, and none of what one has; at the end that of the other tests."""
    found = Release(kubectl=stack.kubectl)
    found.begin()
    try:
        yield found
    finally:
        found.begin()
        install(stack.kubectl, image=stack.images.operator, values=TEST_VALUES)


@pytest.fixture
def frozen(stack: Stack, tmp_path: Path) -> Frozen:
    """The earlier release."""
    try:
        return Frozen.ensure(stack.cluster, tmp_path)
    except ClusterError as error:
        if stack.cluster.provider == "external":
            pytest.skip(str(error))
        raise


class Workers:
    """The pool's workers, whose number only grows: so each that has been seen has to be there still."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._count = 2
        scene.apply(POOL, scaling={"minReplicas": self._count, "maxReplicas": self._count})
        self._seen = self._wait()

    def one_more(self) -> None:
        """The operator that is there now hears a wish and fulfils it, and nobody who was there has been touched."""
        self._count += 1
        self._scene.patch(POOL, {"scaling": {"minReplicas": self._count, "maxReplicas": self._count}})
        found = self._wait()
        self.assert_untouched(found)
        self._seen = found

    def assert_untouched(self, found: Mapping[str, Json] | None = None) -> None:
        """All that have been seen are there, and none was restarted."""
        found = self._scene.workers(POOL) if found is None else found
        assert self._seen.keys() <= found.keys(), "workers were replaced"
        assert restarts(found.values()) == 0

    def _wait(self) -> dict[str, Json]:
        return self._scene.wait_workers(POOL, self._count, seconds=120)


@contextmanager
def jobs_coming(scene: Scene) -> Iterator[None]:
    """A job of a second each second, from before what happens here until after it: all are done, once."""
    with scene.feeding(POOL, steady(rate=1.0, jobs=JOBS), seconds=1.0) as feeding:
        feeding.wait_done(1)
        yield
        assert_nothing_lost(feeding.report(seconds=JOBS + 120), jobs=JOBS)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("mode", ["cluster-wide", "namespaced"])
def test_a_life_of_a_release(release: Release, frozen: Frozen, own_scene: Scene, stack: Stack, mode: str) -> None:
    """Install, upgrade, rollback, upgrade, uninstall: no worker is restarted or replaced, and no job is lost."""
    home, namespaced = own_scene.namespace, mode == "namespaced"
    values = [f"watchNamespaces={{{home}}}"] if namespaced else []
    release.install(frozen.chart, image=frozen.image)
    workers = Workers(own_scene)
    with jobs_coming(own_scene):
        release.upgrade(CHART, image=stack.images.operator, values=values)
        workers.one_more()
    assert "Succeeded" in release.test()
    assert not [name for name in release.left() if name.endswith("-test")], "what the test made is gone"
    assert release.may("list", "pods", namespace=home)
    assert release.may("list", "pods", namespace="default") is not namespaced
    with jobs_coming(own_scene):
        release.rollback()
        workers.one_more()
    with jobs_coming(own_scene):
        release.upgrade(CHART, image=stack.images.operator, values=values)
        workers.one_more()
    before = release.left()
    with jobs_coming(own_scene):
        release.uninstall()
        wait_for(lambda: release.left() == KEPT, seconds=60, what=f"nothing but {KEPT}")  # its pods end by themselves
        workers.assert_untouched()
    workers.assert_untouched()
    print(f"{mode}: {len(before)} objects of the release, left {sorted(KEPT)}; 0 workers restarted")


@pytest.mark.timeout(600)
def test_who_may_connect_to_whom(stack: Stack, own_scene: Scene) -> None:
    """The policies of chart and operator, evaluated over the pods that run: on `local` the network enforces none."""
    own_scene.apply(POOL, scaling={"minReplicas": 1, "maxReplicas": 1})
    own_scene.wait_workers(POOL, 1)
    network = Network.of(stack.kubectl)
    operator = network.pod(NAMESPACE, {"app.kubernetes.io/name": "workerpool-operator"})
    collector, worker = (
        network.pod(own_scene.namespace, {"app.kubernetes.io/component": component})
        for component in ("collector", "worker")
    )
    said = {
        (who, whom, port): network.admits(pods[0], pods[1], port)
        for who, whom, port, pods in (
            ("collector", "operator", "stream", (collector, operator)),
            ("worker", "operator", "stream", (worker, operator)),
            ("worker", "operator", "http", (worker, operator)),  # /metrics is for all, unless metricsFrom is set
            ("worker", "collector", "stream", (worker, collector)),
            ("operator", "collector", "stream", (operator, collector)),
        )
    }
    assert said == {
        ("collector", "operator", "stream"): True,
        ("worker", "operator", "stream"): False,
        ("worker", "operator", "http"): True,
        ("worker", "collector", "stream"): True,
        ("operator", "collector", "stream"): False,
    }


@pytest.mark.timeout(600)
def test_the_page_and_a_test_that_fails(release: Release, stack: Stack) -> None:
    """The page's pod comes up in a restricted namespace, too; and `helm test` of an operator that is away says so."""
    release.install(CHART, image=stack.images.operator, values=["replicas=1", "ui.enabled=true"])
    stack.kubectl.rollout("deployment/workerpool-ui", namespace=NAMESPACE)
    stack.kubectl.run("scale", "deployment/workerpool-operator", "--replicas=0", f"--namespace={NAMESPACE}")
    selector = "app.kubernetes.io/name=workerpool-operator,app.kubernetes.io/component=operator"
    wait_for(
        lambda: not stack.kubectl.list("pods", namespace=NAMESPACE, selector=selector), seconds=60, what="no operator"
    )
    with pytest.raises(ClusterError, match="failed"):
        release.test()
    said = stack.kubectl.logs("workerpool-operator-test", namespace=NAMESPACE)
    assert "failed: A replica is ready." in said
    assert "failed: The Lease is held, and renewed" in said
    assert "ok: pools can be read" in said
