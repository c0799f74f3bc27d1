"""docs/tutorial.md, typed as a newcomer would, on a real cluster."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from e2e.cluster import get
from e2e.support import images
from e2e.support.kubectl import Kubectl
from e2e.support.stack import TEST_VALUES, install, is_up, release_exists
from tests.support.pages import play

PAGE = images.ROOT / "docs" / "tutorial.md"
NAMESPACE = "tutorial"
SECONDS = 900


@pytest.mark.timeout(SECONDS + 300)
def test_the_tutorial_does_what_it_says(tmp_path: Path) -> None:
    """With images that the nodes have in place of pushed ones; an operator that was there gets its settings back."""
    cluster = get()
    if not is_up(cluster):
        cluster.up()
    operator = images.ensure(cluster, images.OPERATOR)
    kubectl = Kubectl.of(cluster)
    before = release_exists(kubectl)
    own = tmp_path / "kubeconfig"
    shutil.copyfile(cluster.kubeconfig, own)  # the page chooses a namespace in it
    env = {
        **cluster.environment(),
        "KUBECONFIG": str(own),
        "WORKERPOOL": str(images.ROOT),
        "OPERATOR_IMAGE": operator,
        "WORKER_IMAGE": images.ensure(cluster, images.WORKER),
        "REDIS_IMAGE": images.ensure(cluster, images.REDIS),
        "NO_COLOR": "1",
    }
    env["PATH"] = f"{Path(sys.executable).parent}:{kubectl.environment['PATH']}"
    kubectl.delete("namespace", NAMESPACE)
    try:
        play(PAGE, tmp_path, env=env, seconds=SECONDS)
    finally:
        kubectl.delete("namespace", NAMESPACE, wait=False)
        if before:
            install(kubectl, image=operator, values=TEST_VALUES)
