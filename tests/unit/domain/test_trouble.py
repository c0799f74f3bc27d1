"""Which conditions of a pool tell of trouble."""

from typing import Any

import pytest

from workerpool_operator.api import ConditionType, Reason
from workerpool_operator.domain.trouble import Trouble, troubles


def pool(*told: tuple[str, str, str]) -> dict[str, Any]:
    conditions = [{"type": kind, "status": status, "reason": reason, "message": "m"} for kind, status, reason in told]
    return {"metadata": {"name": "thumbs"}, "status": {"conditions": conditions}}


def said(*told: tuple[str, str, str]) -> list[tuple[str, bool]]:
    return [(one.reason, one.grave) for one in troubles(pool(*told))]


@pytest.mark.parametrize("body", [{}, {"status": None}, {"status": {}}, pool(("Ready", "True", "AllReady"))])
def test_nothing_is_said_of_what_is_well_or_not_known(body: dict[str, Any]) -> None:
    assert troubles(body) == []


@pytest.mark.parametrize(
    ("kind", "status", "reason", "grave"),
    [
        ("Stalled", "True", Reason.WORKERS_STUCK, True),
        ("QueueReachable", "False", Reason.AUTHENTICATION_FAILED, True),
        ("QueueReachable", "Unknown", Reason.COLLECTOR_DOWN, True),
        ("ScalingActive", "False", Reason.KEDA_NOT_INSTALLED, True),
        ("ScalingActive", "False", Reason.SUSPENDED, False),
        ("Placed", "False", Reason.FAILED_OVER, True),
        ("Placed", "False", Reason.MOVING, False),
        ("Placed", "True", Reason.LEASES_UNREADABLE, False),
        ("CanaryHealthy", "False", Reason.CANARY_REJECTED, True),
        ("Monitored", "False", Reason.FORBIDDEN, True),
        ("Monitored", "False", Reason.PROMETHEUS_RULE_KIND_MISSING, False),
    ],
)
def test_a_condition_that_is_not_as_it_should_be(kind: str, status: str, reason: str, *, grave: bool) -> None:
    """Grave is what does not work."""
    assert said(("Ready", "True", "AllReady"), (kind, status, reason)) == [(reason, grave)]


@pytest.mark.parametrize(
    ("kind", "status", "reason"),
    [
        ("Stalled", "False", Reason.NOT_STALLED),
        ("QueueReachable", "Unknown", Reason.NO_SAMPLE_YET),
        ("Placed", "True", Reason.NO_PLACES),
        ("CanaryHealthy", "Unknown", Reason.CANARY_INCONCLUSIVE),
        ("Monitored", "False", Reason.ALERTS_DISABLED),
        ("Progressing", "True", Reason.SCALING),
    ],
)
def test_what_is_wished_or_not_decided_is_no_trouble(kind: str, status: str, reason: str) -> None:
    assert said((kind, status, reason)) == []


@pytest.mark.parametrize("reason", [Reason.NO_WORKERS, Reason.WORKERS_STARTING])
def test_a_pool_that_waits_for_workers_is_on_its_way(reason: str) -> None:
    """Until it has waited for too long."""
    assert said(("Ready", "False", reason), ("Progressing", "True", Reason.SCALING)) == []
    assert said(("Ready", "False", reason), ("Progressing", "False", Reason.PROGRESS_DEADLINE_EXCEEDED)) == [
        (reason, True)
    ]
    assert said(("Ready", "False", reason)) == [(reason, True)]


@pytest.mark.parametrize(
    "reason", [Reason.IMAGE_PULL_FAILED, Reason.CRASH_LOOPING, Reason.UNSCHEDULABLE, Reason.CONFIG_MISSING, "Later"]
)
def test_a_pool_whose_workers_cannot_come_is_in_trouble_on_its_way_or_not(reason: str) -> None:
    assert said(("Ready", "False", reason), ("Progressing", "True", Reason.SCALING)) == [(reason, True)]


def test_a_cause_is_told_once() -> None:
    """What follows from it is not."""
    quota = Reason.QUOTA_EXCEEDED
    assert said(("Ready", "False", quota), ("Stalled", "True", quota)) == [(quota, True)]
    unread = ("QueueReachable", "False", Reason.AUTHENTICATION_FAILED)
    held = ("ScalingActive", "False", Reason.SAMPLES_STALE)
    assert said(held, unread) == [(Reason.AUTHENTICATION_FAILED, True)]
    assert said(held) == [(Reason.SAMPLES_STALE, True)]
    assert len(said(unread, ("ScalingActive", "False", Reason.BUDGET_NOT_FOUND))) == 2


def test_the_gravest_comes_first() -> None:
    """And of those that are as grave, what says the most."""
    told = [
        ("Placed", "False", Reason.MOVING),
        ("Monitored", "False", Reason.FORBIDDEN),
        ("Ready", "False", Reason.CRASH_LOOPING),
    ]
    assert said(*told) == [(Reason.CRASH_LOOPING, True), (Reason.FORBIDDEN, True), (Reason.MOVING, False)]


def test_a_message_is_passed_on() -> None:
    body = pool(("Stalled", "True", "R"))
    assert troubles(body) == [
        Trouble(type=ConditionType.STALLED, status="True", reason="R", message="m", grave=True),
    ]
    body["status"]["conditions"][0] = {"type": "Stalled", "status": "True"}
    assert troubles(body)[0].message == "no more is known"
