"""`wpool chaos` on real pods, and its scenarios with the hands of `make chaos`."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.chaos.hands import TABLE
from e2e.chaos.parts import PARTS
from e2e.chaos.play import keep_on_disk, play
from e2e.cli import done, wpool
from e2e.failover.play import values
from e2e.scene import Scene, new_scene, restarts
from e2e.support.stack import TEST_VALUES, Stack, install
from workerpool_operator.cli.chaos.marks import ALLOWED, ALLOWED_LABEL

POOL = "chaos"


@pytest.fixture(scope="module")
def ring(stack: Stack) -> Iterator[Scene]:
    """A namespace whose Redis keeps its jobs, and whose collector stays."""
    if stack.cluster.provider != "local":
        pytest.skip("the nodes' processes and packets are not this machine's")
    with new_scene(stack, redis_node=stack.cluster.nodes[0]) as scene:
        keep_on_disk(scene)
        scene.apply("resident")
        yield scene


@pytest.mark.core
def test_wpool_kills_a_busy_worker_and_loses_no_job(scene: Scene, tmp_path: Path) -> None:
    """By exec, from within, with the rights of whoever asks; not before the pool has said yes."""
    scene.apply(POOL, scaling={"minReplicas": 2, "maxReplicas": 2})
    workers = scene.wait_workers(POOL, 2)
    outcome = tmp_path / "chaos.json"
    where = f"--namespace={scene.namespace}"
    words = (
        "chaos",
        "worker-killed",
        POOL,
        where,
        "--yes",
        "--url",
        scene.url,
        "--stream",
        POOL,
        "--json",
        str(outcome),
    )
    refused = wpool(scene, *words)
    assert refused.returncode == 3
    assert "has to be allowed" in refused.stderr
    scene.kubectl.run("label", "workerpool", POOL, f"{ALLOWED_LABEL}={ALLOWED}", where)
    said = done(scene, *words, seconds=200)
    assert "as expected" in said
    (row,) = json.loads(outcome.read_text())
    assert (row["scenario"], row["jobs_lost"]) == ("worker-killed", 0)
    after = scene.wait_workers(POOL, 2)
    assert restarts(after.values()) == restarts(workers.values()) + 1
    killed = [pod for pod in after.values() if restarts([pod])]
    last = killed[0]["status"]["containerStatuses"][0]["lastState"]["terminated"]
    assert last["exitCode"] == 137, "by SIGKILL"


@pytest.mark.timeout(420)
@pytest.mark.parametrize("name", [name for name in PARTS if name != "node-lost"])
def test_a_scenario_ends_as_expected(ring: Scene, name: str) -> None:
    """Recovered in time, with no job lost, and nothing is left of what broke it."""
    row = play(name, ring)
    assert row.ok, row.observed
    assert row.jobs_lost == 0
    tables = subprocess.run(["nft", "list", "tables"], check=True, capture_output=True, text=True)
    assert TABLE not in tables.stdout


@pytest.fixture
def two_of_each(stack: Stack) -> Iterator[None]:
    """Operators and collectors: one of either may be on the node that is lost."""
    install(stack.kubectl, image=stack.images.operator, values=values(collectors=2))
    yield
    install(stack.kubectl, image=stack.images.operator, values=TEST_VALUES)


@pytest.mark.timeout(900)
@pytest.mark.usefixtures("two_of_each")
def test_a_lost_node_ends_as_expected(ring: Scene) -> None:
    """As many workers in the other place, and no job lost; `make e2e-failover` takes leader and collector along."""
    row = play("node-lost", ring)
    assert row.ok, row.observed
    assert row.jobs_lost == 0
