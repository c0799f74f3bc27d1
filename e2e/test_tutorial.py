"""The tutorial and the game day, typed as a reader would, on a real cluster."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

import pytest

from e2e.cluster import Cluster, get
from e2e.support import images
from e2e.support.kubectl import Kubectl
from e2e.support.stack import TEST_VALUES, install, is_up, release_exists
from tests.support.pages import play

DOCS = images.ROOT / "docs"
SECONDS = 1200
WITH_NODES = ("A node is lost",)
"""Sections that need a cluster of which a node can be stopped."""


@pytest.mark.timeout(SECONDS + 300)
def test_the_tutorial_does_what_it_says(tmp_path: Path) -> None:
    """It installs the operator itself; one that was there gets its settings back."""
    _play(DOCS / "tutorial.md", tmp_path, namespace="tutorial", installs=True)


@pytest.mark.timeout(SECONDS + 300)
def test_the_game_day_ends_as_it_says(tmp_path: Path) -> None:
    """Workers, broker, operator, collector and a node die, a producer and a version are bad, and no job is lost."""
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
    shutil.copyfile(cluster.kubeconfig, own)
    env = {
        **cluster.environment(),
        "KUBECONFIG": str(own),
        "WORKERPOOL": str(images.ROOT),
        "OPERATOR_IMAGE": operator,
        "WORKER_IMAGE": images.ensure(cluster, images.WORKER),
        "REDIS_IMAGE": images.ensure(cluster, images.REDIS),
        "NO_COLOR": "1",
        **_nodes(),
    }
    env["PATH"] = f"{Path(sys.executable).parent}:{kubectl.environment['PATH']}"
    kubectl.delete("namespace", namespace)
    try:
        play(page, folder, env=env, seconds=SECONDS, without=() if _stoppable(cluster) else WITH_NODES)
        assert own.read_bytes() == cluster.kubeconfig.read_bytes(), "the reader's kubeconfig is not as it was"
    finally:
        _mend(cluster, kubectl)
        kubectl.delete("namespace", namespace, wait=False)
        if before and installs:
            install(kubectl, image=operator, values=TEST_VALUES)


def _stoppable(cluster: Cluster) -> bool:
    return cluster.provider != "external" and len(cluster.nodes) > 1


def _nodes() -> dict[str, str]:
    """The functions by which a page stops and starts a machine, as bash takes them out of its environment."""
    program = f"cd {shlex.quote(str(images.ROOT))} && {shlex.quote(sys.executable)} -m e2e.cluster"
    return {f"BASH_FUNC_{verb}_node%%": f'() {{ ({program} {verb}-node "$1"); }}' for verb in ("stop", "start")}


def _mend(cluster: Cluster, kubectl: Kubectl) -> None:
    """Bring back what a page that has failed left stopped or cordoned."""
    stopped = {part.name for part in cluster.status() if not part.up}
    for name in cluster.nodes if _stoppable(cluster) else ():
        if name in stopped:
            cluster.start_node(name)
        kubectl.run("uncordon", name)
