"""The tutorial and the game day, typed as a reader would, on a real cluster."""

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

DOCS = images.ROOT / "docs"
SECONDS = 900


@pytest.mark.timeout(SECONDS + 300)
def test_the_tutorial_does_what_it_says(tmp_path: Path) -> None:
    """It installs the operator itself; one that was there gets its settings back."""
    _play(DOCS / "tutorial.md", tmp_path, namespace="tutorial", installs=True)


@pytest.mark.timeout(SECONDS + 300)
def test_the_game_day_ends_as_it_says(tmp_path: Path) -> None:
    """Workers, broker, operator and collector die, a producer and a version are bad, and no job is lost."""
    _play(DOCS / "how-to" / "game-day.md", tmp_path, namespace="game-day", installs=False)


def _play(page: Path, folder: Path, *, namespace: str, installs: bool) -> None:
    """With images that the nodes have in place of pushed ones."""
    cluster = get()
    if not is_up(cluster):
        cluster.up()
    operator = images.ensure(cluster, images.OPERATOR)
    kubectl = Kubectl.of(cluster)
    before = release_exists(kubectl)
    if not installs:
        install(kubectl, image=operator, values=TEST_VALUES)
    own = folder / "kubeconfig"
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
    kubectl.delete("namespace", namespace)
    try:
        play(page, folder, env=env, seconds=SECONDS)
    finally:
        kubectl.delete("namespace", namespace, wait=False)
        if before and installs:
            install(kubectl, image=operator, values=TEST_VALUES)
