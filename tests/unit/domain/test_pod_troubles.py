"""Why a pool is not ready: pods that may not be made, and pods that something is wrong with."""

from dataclasses import replace

import pytest

from tests.unit.domain.builders import deployment, pool, reporting
from tests.unit.domain.verdicts import FALSE, READY, judged, said, starting, verdict
from workerpool_operator.api import Reason
from workerpool_operator.domain.snapshot import PodList, PodTrouble

UNREADY = deployment(pool(rollout={"strategy": "Rolling"}), 3, ready=0)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ('pods "web-1" is forbidden: exceeded quota: few, requested: pods=1', Reason.QUOTA_EXCEEDED),
        ('pods "web-1" is forbidden: violates PodSecurity "restricted"', Reason.APPLY_REFUSED),
    ],
)
def test_pods_that_kubernetes_does_not_let_in_are_told_in_its_words(message: str, reason: Reason) -> None:
    failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}
    condition = judged(
        starting(deployments=reporting(UNREADY, conditions=[failure])),
        READY,
    )
    assert (condition.status, condition.reason, condition.message) == (FALSE, reason, message)


def test_a_refusal_without_words_is_told_by_its_reason() -> None:
    failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate"}
    condition = judged(
        starting(deployments=reporting(UNREADY, conditions=[failure])),
        READY,
    )
    assert (condition.reason, condition.message) == (Reason.APPLY_REFUSED, "FailedCreate")


def test_a_refusal_that_is_over_and_other_conditions_of_a_deployment_say_nothing() -> None:
    over = [
        {"type": "Available", "status": "True", "message": "Deployment has minimum availability"},
        {"type": "ReplicaFailure", "status": "False", "reason": "FailedCreate", "message": "exceeded quota"},
    ]
    seen = starting(deployments=reporting(UNREADY, conditions=over))
    assert verdict(seen, READY) == (FALSE, Reason.NO_WORKERS)


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("ErrImagePull", Reason.IMAGE_PULL_FAILED),
        ("ImagePullBackOff", Reason.IMAGE_PULL_FAILED),
        ("InvalidImageName", Reason.IMAGE_PULL_FAILED),
        ("ErrImageNeverPull", Reason.IMAGE_PULL_FAILED),
        ("CrashLoopBackOff", Reason.CRASH_LOOPING),
        ("RunContainerError", Reason.CRASH_LOOPING),
        ("CreateContainerConfigError", Reason.CONFIG_MISSING),
        ("CreateContainerError", Reason.CONFIG_MISSING),
        ("Unschedulable", Reason.UNSCHEDULABLE),
    ],
)
def test_what_keeps_a_pod_from_being_ready_is_told_with_the_pods_name(word: str, reason: Reason) -> None:
    harmless = PodTrouble(pod="web-0", reason="SomethingNew", message="who knows")
    trouble = PodTrouble(pod="web-1", reason=word, message="no " * 1000)
    condition = judged(starting(pods=PodList(active=(), troubles=(harmless, trouble))), READY)
    assert (condition.status, condition.reason) == (FALSE, reason)
    assert condition.message.startswith(f"pod web-1: {word}: no ")
    assert len(condition.message) == 1024


def test_a_known_trouble_is_kept_until_the_pods_are_listed_again() -> None:
    broken = pool(status=said(READY, FALSE, Reason.IMAGE_PULL_FAILED, "pod web-1: ErrImagePull: no"))
    unlisted = starting(of=broken)
    condition = judged(unlisted, READY)
    assert (condition.reason, condition.message) == (Reason.IMAGE_PULL_FAILED, "pod web-1: ErrImagePull: no")
    cured = replace(unlisted, pods=PodList(active=()))
    assert verdict(cured, READY) == (FALSE, Reason.NO_WORKERS)


def test_a_known_trouble_goes_with_the_last_pod_that_was_not_ready() -> None:
    """Nobody lists the pods then, until there are some again."""
    broken = starting(of=pool(status=said(READY, FALSE, Reason.UNSCHEDULABLE, "pod web-1: Unschedulable: full")))
    gone = {
        name: replace(child, body={**child.body, "status": {"replicas": child.ready, "readyReplicas": child.ready}})
        for name, child in broken.deployments.items()
    }
    assert verdict(broken, READY) == (FALSE, Reason.UNSCHEDULABLE)
    assert verdict(replace(broken, deployments=gone), READY) == (FALSE, Reason.NO_WORKERS)


def test_a_trouble_of_what_the_pool_was_before_it_was_changed_is_not_kept() -> None:
    mended = pool(status=said(READY, FALSE, Reason.IMAGE_PULL_FAILED, "pod web-1: ErrImagePull: no"), generation=2)
    assert verdict(starting(of=mended), READY) == (FALSE, Reason.NO_WORKERS)


def test_what_was_no_trouble_is_not_kept() -> None:
    before = pool(status=said(READY, FALSE, Reason.NO_WORKERS, "0 of 3 workers are ready"))
    assert verdict(starting(1, of=before), READY) == (FALSE, Reason.WORKERS_STARTING)
