"""The operator dies, is upgraded, loses the API server: the workers do not notice."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from e2e.cluster import ClusterError
from e2e.processes import kill_operator
from e2e.scene import SOON, Scene, all_at_once, assert_nothing_lost, restarts, templates
from e2e.support import beside, images
from e2e.support.images import ROOT
from e2e.support.stack import NAMESPACE, RELEASE, TEST_VALUES, install, leader
from e2e.support.wait import wait_for

OUTAGE_SECONDS = 30
"""Twice the Lease's duration. How long an outage lasts is what is tested, not something that is waited for."""
_RENDERER = "operator/workerpool_operator/domain/desired/template.py"


@pytest.mark.core
def test_an_operator_that_is_killed_and_restarted_changes_no_pod(scene: Scene) -> None:
    """kill -9 of the operator while jobs run; afterwards it goes on with what it finds."""
    scene.apply("steady", scaling={"minReplicas": 2, "maxReplicas": 2})
    before = scene.wait_workers("steady", 2)
    with scene.feeding("steady", all_at_once(60), seconds=1.0) as feeding:
        feeding.wait_running(4)
        operators = _operator_pods(scene)
        kill_operator(scene, leader(scene.kubectl))
        wait_for(lambda: _operator_pods(scene) != operators, seconds=SOON, what="the operator's container anew")
        assert_nothing_lost(feeding.report(seconds=120), jobs=60)
    # It works again: it answers a wish that came after its death. That needs the dead one's Lease to run out.
    scene.patch("steady", {"scaling": {"minReplicas": 3, "maxReplicas": 3}})
    after = scene.wait_workers("steady", 3)
    assert before.keys() <= after.keys()
    assert restarts(after.values()) == 0


@pytest.mark.core
def test_an_upgrade_of_the_operator_restarts_no_worker(scene: Scene, tmp_path: Path) -> None:
    """An operator that would render workers differently leaves those that run alone.

    So does their template stay, with the sidecar in it, from which the next workers of this version are made; only a
    pool that comes after the upgrade is rendered anew.
    """
    sidecars = [beside.sidecar(scene.stack.images.worker)]
    scene.apply("kept", worker={"sidecars": sidecars}, scaling={"minReplicas": 2, "maxReplicas": 3})
    before = scene.wait_workers("kept", 2)
    stored = templates(scene, "kept")
    with _upgraded(scene, tmp_path):
        scene.patch("kept", {"scaling": {"minReplicas": 3}})
        after = scene.wait_workers("kept", 3)
        assert before.keys() <= after.keys()
        assert restarts(after.values()) == 0
        assert templates(scene, "kept") == stored
        scene.apply("made-after", worker={"sidecars": sidecars}, scaling={"minReplicas": 1})
        scene.wait_workers("made-after", 1)
        (rendered,) = templates(scene, "made-after").values()
        (kept,) = stored.values()
        grace = "terminationGracePeriodSeconds"
        assert rendered["spec"][grace] == kept["spec"][grace] + 1, "the new operator renders as the old one did"
    assert before.keys() <= scene.wait_workers("kept", 3).keys()


def test_an_outage_of_the_api_server_is_survived_and_caught_up_with(scene: Scene) -> None:
    """The operator waits without a restart, the workers work on, and 5 s after the outage a wish is heard."""
    scene.apply("outage", scaling={"minReplicas": 1, "maxReplicas": 1})
    before = scene.wait_workers("outage", 1)
    operators = _operator_pods(scene)
    with scene.feeding("outage", all_at_once(60), seconds=1.0) as feeding:
        feeding.wait_running(2)
        with _without_apiserver(scene):
            time.sleep(OUTAGE_SECONDS)
        scene.patch("outage", {"scaling": {"minReplicas": 2, "maxReplicas": 2}})
        wait_for(lambda: scene.status("outage")["scaling"]["desired"] == 2, seconds=5, what="the wish is heard")
        # Kubernetes' own controllers come back later: they wait for up to half a minute between two attempts.
        after = scene.wait_workers("outage", 2, seconds=120)
        assert_nothing_lost(feeding.report(seconds=120), jobs=60)
    assert before.keys() <= after.keys()
    assert restarts(after.values()) == 0
    assert _operator_pods(scene) == operators


@contextmanager
def _without_apiserver(scene: Scene) -> Iterator[None]:
    try:
        scene.stack.cluster.stop_apiserver()
    except ClusterError as error:
        pytest.skip(str(error))
    try:
        yield
    finally:
        scene.stack.cluster.start_apiserver()


@contextmanager
def _upgraded(scene: Scene, folder: Path) -> Iterator[None]:
    """An operator whose renderer gives workers another second of grace, for as long as the context lasts."""
    stack = scene.stack
    if stack.cluster.provider == "external":
        pytest.skip("an image that is built here cannot be given to the nodes of this cluster")
    image = f"{stack.images.operator}-next"
    _build_next(scene, folder, image)
    try:
        install(stack.kubectl, image=image, values=TEST_VALUES)
        yield
    finally:
        install(stack.kubectl, image=stack.images.operator, values=TEST_VALUES)


def _build_next(scene: Scene, folder: Path, image: str) -> None:
    recipe = images.OPERATOR
    for source in (recipe.dockerfile, *recipe.sources):
        target = folder / source
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / source, target)
    renderer = folder / _RENDERER
    text, changes = re.subn(
        r"^(DRAIN_MARGIN_SECONDS: Final = )(\d+)$",
        lambda found: f"{found[1]}{int(found[2]) + 1}",
        renderer.read_text(),
        flags=re.MULTILINE,
    )
    assert changes == 1, f"{_RENDERER} no longer has what this test changes"
    renderer.write_text(text)
    images.build(scene.stack.cluster, recipe, tag=image, root=folder)


def _operator_pods(scene: Scene) -> dict[str, int]:
    """The operator's pods, each with how often it has been restarted."""
    pods = scene.kubectl.list("pods", namespace=NAMESPACE, selector=f"app.kubernetes.io/name={RELEASE}")
    return {pod["metadata"]["uid"]: restarts([pod]) for pod in pods}
