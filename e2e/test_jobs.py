"""Jobs outlive whatever happens to the workers that run them."""

import pytest

from e2e.processes import kill_worker
from e2e.scene import Scene, all_at_once, assert_nothing_lost, restarts
from e2e.support.wait import wait_for
from workerpool_operator.cli.load import steady

pytestmark = pytest.mark.core


def test_500_jobs_survive_scale_downs_in_their_midst(scene: Scene) -> None:
    """The pool is made smaller three times while it works: nothing is interrupted, lost or done twice."""
    scene.apply("shrinking", scaling={"minReplicas": 0, "maxReplicas": 6}, worker={"maxWorkers": 4})
    with scene.feeding("shrinking", steady(rate=12, jobs=500), seconds=0.4) as feeding:
        for number, most in enumerate((6, 2, 5, 1, 4, 2)):
            scene.patch("shrinking", {"scaling": {"maxReplicas": most, "minReplicas": most}})
            scene.wait_workers("shrinking", most)
            feeding.wait_done(min(60 * (number + 1), 500), seconds=90)
        report = feeding.report(seconds=120)
    assert_nothing_lost(report, jobs=500)
    assert scene.events("shrinking", "ScaledDown") >= 3
    assert not scene.events("shrinking", "VictimMismatch")


def test_a_worker_killed_at_work_loses_nothing(scene: Scene) -> None:
    """kill -9 of a worker's process: its jobs come back within their lease, and each is done."""
    scene.apply("killed", scaling={"minReplicas": 2, "maxReplicas": 2})
    workers = scene.wait_workers("killed", 2)
    # Longer than a busy machine takes from the first look to the blow: else that may fall between two jobs.
    with scene.feeding("killed", all_at_once(12), seconds=8.0) as feeding:
        feeding.wait_running(4)
        kill_worker(scene, next(iter(workers.values())))
        report = feeding.report(seconds=150)
    assert (report.jobs_done, report.jobs_lost, report.jobs_dead) == (12, 0, 0), report.to_json()
    assert report.jobs_interrupted, "the worker was killed without a job: that proves nothing"
    wait_for(lambda: restarts(scene.workers("killed").values()) == 1, seconds=60, what="the worker's container anew")


def test_a_worker_that_is_deleted_by_force_loses_nothing(scene: Scene) -> None:
    """`kubectl delete pod --force`: another worker takes over what it had."""
    scene.apply("forced", scaling={"minReplicas": 2, "maxReplicas": 2})
    workers = scene.wait_workers("forced", 2)
    with scene.feeding("forced", all_at_once(30), seconds=2.0) as feeding:
        feeding.wait_running(4)
        pod = next(iter(workers.values()))["metadata"]["name"]
        where = f"--namespace={scene.namespace}"
        scene.kubectl.run("delete", "pod", pod, "--grace-period=0", "--force", where)
        report = feeding.report(seconds=150)
    assert (report.jobs_done, report.jobs_lost, report.jobs_dead) == (30, 0, 0), report.to_json()


def test_a_malformed_job_goes_to_the_dead_letters_with_a_reason(scene: Scene) -> None:
    """What is no job stops nobody: it is put aside with the reason, and the jobs around it are done."""
    scene.apply("garbage", scaling={"minReplicas": 1, "maxReplicas": 1})
    scene.wait_workers("garbage", 1)
    with scene.broker() as client:
        client.xadd("garbage", {"colour": "blue"})
        client.xadd("garbage", {"type": "sleep", "payload": "{not JSON"})
        client.xadd("garbage", {"type": "nobody-knows-this", "payload": "{}"})
    with scene.feeding("garbage", all_at_once(10)) as feeding:
        assert_nothing_lost(feeding.report(seconds=60), jobs=10)
    wait_for(lambda: len(scene.dead_letters("garbage")) == 3, seconds=30, what="three dead letters")
    reasons = sorted(letter["dead.reason"] for letter in scene.dead_letters("garbage"))
    assert reasons == ["malformed", "malformed", "unknown_type"]
    assert all(letter["dead.error"] for letter in scene.dead_letters("garbage"))
