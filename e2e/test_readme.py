"""The README's way to a pool that scales, typed as a reader would, on a cluster without the operator."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.chart.release import Release
from e2e.support import images, pools
from e2e.support.stack import NAMESPACE, TEST_VALUES, Stack, install
from e2e.support.wait import wait_for
from tests.support.pages import play

SECTION = "On your own cluster"
POOL = "first"
NAMES = {
    "registry.example/workerpool-operator:0.1.0": images.OPERATOR,
    "registry.example/workerpool-worker-io:0.1.0": images.WORKER,
    "docker.io/library/redis:7-alpine": images.REDIS,
}
"""As the page and the example name them -> what is built in place of what a reader builds, pushes or pulls."""
AGAIN_SECONDS = 240.0
"""Until nobody is left of ten workers: cooldown of the example, and their drains."""


@pytest.fixture
def namespace(stack: Stack) -> Iterator[str]:
    """No release of the operator, the page's images on the nodes, and a namespace; then that of the other tests."""
    if stack.cluster.provider == "external":
        pytest.skip("images that are built here cannot be given to the nodes of this cluster")
    for name, recipe in NAMES.items():
        images.build(stack.cluster, recipe, tag=name)
    release = Release(kubectl=stack.kubectl)
    release.begin()
    stack.kubectl.delete("namespace", NAMESPACE)  # the page makes it
    namespace = f"reader-{secrets.token_hex(3)}"
    stack.kubectl.run("create", "namespace", namespace)
    try:
        yield namespace
    finally:
        stack.kubectl.delete("namespace", namespace, wait=False)
        release.begin()
        install(stack.kubectl, image=stack.images.operator, values=TEST_VALUES)


@pytest.mark.timeout(900)
def test_three_commands_bring_a_pool_that_scales(stack: Stack, namespace: str, tmp_path: Path) -> None:
    """From none to more than one worker by what waits, all jobs done, and back to none."""
    reader = tmp_path / "kubeconfig"
    shutil.copyfile(stack.cluster.kubeconfig, reader)
    env = {**stack.kubectl.environment, "KUBECONFIG": str(reader)}
    stack.kubectl.run("config", "set-context", "--current", f"--namespace={namespace}", f"--kubeconfig={reader}")
    play(images.ROOT / "README.md", tmp_path, env=env, section=SECTION, at=images.ROOT)
    wait_for(
        lambda: len(pools.ready_pods(stack.kubectl, namespace, POOL)) > 1, seconds=180, what="more than one worker"
    )
    # Its status says whether a job was lost or died.
    where = f"--namespace={namespace}"
    stack.kubectl.run("wait", "--for=condition=Complete", "job/load", "--timeout=180s", where, seconds=190)
    wait_for(
        lambda: not pools.pods(stack.kubectl, namespace, POOL), seconds=AGAIN_SECONDS, what="no worker when all is done"
    )
    pools.wait_ready(stack.kubectl, namespace, POOL)
