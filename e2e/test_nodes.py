"""A node is lost with the workers on it."""

from collections.abc import Iterator

import pytest

from e2e.cluster import ClusterError
from e2e.scene import Scene, all_at_once, new_scene
from e2e.support.kubectl import Json
from e2e.support.stack import Stack

pytestmark = pytest.mark.core


@pytest.fixture
def pinned_scene(stack: Stack) -> Iterator[Scene]:
    """A namespace whose Redis is on the first node, which is not lost: it stores nothing."""
    with new_scene(stack, redis_node=stack.cluster.nodes[0]) as scene:
        yield scene


def test_the_jobs_of_a_lost_node_come_back(pinned_scene: Scene) -> None:
    """Node 2 is stopped as by a power cut while its workers are at work: others do their jobs, none is lost."""
    scene, cluster = pinned_scene, pinned_scene.stack.cluster
    if len(cluster.nodes) < 2:
        pytest.skip("needs a second node")
    safe, doomed = cluster.nodes[0], cluster.nodes[1]
    spread = {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule"}
    scene.apply(
        "spread",
        scaling={"minReplicas": 4, "maxReplicas": 4},
        worker={"topologySpreadConstraints": [spread]},
    )
    workers = scene.wait_workers("spread", 4)
    assert {node_of(pod) for pod in workers.values()} == {safe, doomed}
    with scene.feeding("spread", all_at_once(40), seconds=3.0) as feeding:
        feeding.wait_running(8)
        try:
            cluster.stop_node(doomed)
        except ClusterError as error:
            pytest.skip(str(error))
        try:
            report = feeding.report(seconds=180)
        finally:
            cluster.start_node(doomed)
    assert (report.jobs_done, report.jobs_lost, report.jobs_dead) == (40, 0, 0), report.to_json()
    assert report.jobs_interrupted, "no job was on the lost node: that proves nothing"
    scene.wait_workers("spread", 4, seconds=240)


def node_of(pod: Json) -> str:
    """The node that a pod runs on."""
    return str(pod["spec"]["nodeName"])
