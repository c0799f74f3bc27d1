"""The pool's alerts: made, changed, taken away, and what is said of them; all else goes on in any case."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.domain.builders import WALL, applied, child, deleted, pool, sample, settled, snapshot
from workerpool_operator.api import AlertThresholds, Condition, ConditionStatus, ConditionType, Reason, WorkerPool, find
from workerpool_operator.domain import desired, status
from workerpool_operator.domain.conditions import judge_all
from workerpool_operator.domain.judging import Case, Refusal
from workerpool_operator.domain.monitoring import thresholds
from workerpool_operator.domain.plan import Plan, plan
from workerpool_operator.domain.snapshot import Absence, Child, Monitoring, Snapshot

SETTINGS = desired.RuleSettings(labels={"release": "kps"})
RULE = ("PrometheusRule", "web")
OFF: dict[str, Any] = {"alerts": {"enabled": False}}


def rule(of: WorkerPool, *, settings: desired.RuleSettings = SETTINGS) -> Child:
    return child(desired.prometheus_rule(of, settings=settings))


def seen(of: WorkerPool, observed: Child | None = None, *, absence: Absence | None = None) -> Snapshot:
    """A pool at rest that has all it should have, but perhaps for its rule."""
    monitoring = Monitoring(settings=SETTINGS, rule=observed, absence=absence)
    return settled(of, 0, samples=(sample(0),), monitoring=monitoring)


def conditions(of: Snapshot, *, refusals: Sequence[Refusal] = (), todo: Plan | None = None) -> tuple[Condition, ...]:
    case = Case(snapshot=of, plan=todo or plan(of), refusals=refusals)
    return judge_all(case, before=of.pool.status.conditions, now=WALL)


def monitored(of: Snapshot, **more: Any) -> tuple[ConditionStatus, str]:
    condition = find(conditions(of, **more), ConditionType.MONITORED)
    assert condition is not None
    return condition.status, condition.reason


# What is done


def test_a_pool_without_a_rule_gets_one_after_everything_else() -> None:
    new = snapshot(pool(), monitoring=Monitoring(settings=SETTINGS))
    assert applied(plan(new))[-1] == RULE
    assert len(applied(plan(new))) == 4


def test_a_missing_rule_is_made_only_where_no_other_has_its_name() -> None:
    (made,) = plan(seen(pool())).applies
    assert made.only_new


def test_a_rule_that_says_what_it_should_is_left_alone() -> None:
    assert plan(seen(pool(), rule(pool()))).applies == ()


@pytest.mark.parametrize(
    "before",
    [
        {"alerts": {"heartbeatMissingSeconds": 60}},
        {"alerts": {"labels": {"team": "old"}}},
        {"scaling": {"maxReplicas": 7}},
    ],
    ids=["another threshold", "a label that the pool no longer has", "another target"],
)
def test_a_rule_follows_its_pool(before: dict[str, Any]) -> None:
    (put_right,) = plan(seen(pool(), rule(pool(**before)))).applies
    assert put_right.body == desired.prometheus_rule(pool(), settings=SETTINGS)
    assert not put_right.only_new


def test_a_rule_that_somebody_added_to_is_put_back_whole() -> None:
    changed = rule(pool())
    group = changed.body["spec"]["groups"][0]
    more = {"groups": [{**group, "rules": [*group["rules"], {"record": "x", "expr": "1"}]}]}
    assert applied(plan(seen(pool(), replace(changed, body={**changed.body, "spec": more})))) == [RULE]


def test_labels_of_other_tools_on_the_object_are_no_drift() -> None:
    body = dict(rule(pool()).body)
    body["metadata"] = {**body["metadata"], "labels": {**body["metadata"]["labels"], "tool": "x"}}
    assert plan(seen(pool(), child(body))).applies == ()


def test_a_new_label_of_the_installation_reaches_the_rule_and_blames_nobody() -> None:
    told = plan(seen(pool(status={"observedGeneration": 1}), rule(pool(), settings=desired.RuleSettings())))
    assert applied(told) == [RULE]
    assert told.corrected == ()


def test_without_alerts_the_rule_goes() -> None:
    without = pool(**OFF)
    todo = plan(seen(without, rule(pool())))
    assert (applied(todo), deleted(todo)) == ([], [RULE])
    assert todo.deletes[0].uid == "uid-web"
    assert deleted(plan(seen(without))) == []


@pytest.mark.parametrize("absence", Absence)
def test_where_there_can_be_no_rule_none_is_tried(absence: Absence) -> None:
    assert plan(seen(pool(), absence=absence)).applies == ()


# What is said


def test_a_pool_whose_rule_is_there_or_on_its_way_is_monitored() -> None:
    assert monitored(seen(pool(), rule(pool()))) == (ConditionStatus.TRUE, Reason.PROMETHEUS_RULE_APPLIED)
    assert monitored(seen(pool())) == (ConditionStatus.TRUE, Reason.PROMETHEUS_RULE_APPLIED)


def test_a_pool_that_wants_no_alerts_says_so_wherever_it_is() -> None:
    for absence in (None, *Absence):
        assert monitored(seen(pool(**OFF), absence=absence)) == (ConditionStatus.FALSE, Reason.ALERTS_DISABLED)


def test_a_cluster_without_the_kind_is_told_with_the_remedy() -> None:
    bare = seen(pool(), absence=Absence.NOT_SERVED)
    condition = find(conditions(bare), ConditionType.MONITORED)
    assert condition is not None
    assert (condition.status, condition.reason) == (ConditionStatus.FALSE, Reason.PROMETHEUS_RULE_KIND_MISSING)
    assert "install the definitions of the prometheus-operator" in condition.message


def test_a_right_that_is_missing_is_told() -> None:
    assert monitored(seen(pool(), absence=Absence.FORBIDDEN)) == (ConditionStatus.FALSE, Reason.FORBIDDEN)


def test_a_rule_that_is_refused_is_told_here_and_stalls_nothing() -> None:
    refused = Refusal(reason=Reason.APPLY_REFUSED, message="x" * 2000, kind="PrometheusRule", optional=True)
    told = {condition.type: condition for condition in conditions(seen(pool()), refusals=[refused])}
    assert told["Monitored"].reason == Reason.APPLY_REFUSED
    assert told["Monitored"].message == "x" * 1024
    assert told["Stalled"].reason == Reason.NOT_STALLED


def test_what_stalls_the_pool_is_found_behind_what_does_not() -> None:
    refusals = [
        Refusal(reason=Reason.APPLY_REFUSED, message="rule", kind="PrometheusRule", optional=True),
        Refusal(reason=Reason.QUOTA_EXCEEDED, message="pods"),
    ]
    told = {condition.type: condition for condition in conditions(seen(pool()), refusals=refusals)}
    assert (told["Monitored"].message, told["Stalled"].message) == ("rule", "pods")
    only = {condition.type: condition for condition in conditions(seen(pool()), refusals=refusals[1:])}
    assert only["Monitored"].reason == Reason.PROMETHEUS_RULE_APPLIED


def test_a_pool_that_cannot_be_rendered_has_no_alerts_yet_or_those_it_had() -> None:
    broken = replace(plan(seen(pool())), problem="the name is too long")
    assert monitored(seen(pool()), todo=broken) == (ConditionStatus.UNKNOWN, Reason.RENDER_ERROR)
    had = seen(pool(), rule(pool()))
    assert monitored(had, todo=broken) == (ConditionStatus.TRUE, Reason.PROMETHEUS_RULE_APPLIED)


@pytest.mark.parametrize(
    ("absence", "refusals", "events"),
    [
        (None, [], []),
        (Absence.NOT_SERVED, [], []),
        (Absence.FORBIDDEN, [], [(True, Reason.FORBIDDEN)]),
        (
            None,
            [Refusal(reason=Reason.APPLY_REFUSED, message="no", kind="PrometheusRule", optional=True)],
            [(True, Reason.APPLY_REFUSED)],
        ),
    ],
    ids=["there", "nobody has installed it", "not allowed", "refused"],
)
def test_an_event_tells_of_what_went_wrong_only(
    absence: Absence | None, refusals: list[Refusal], events: list[tuple[bool, Reason]]
) -> None:
    at_rest = seen(pool(), absence=absence)
    todo = plan(at_rest)
    after = status.build(at_rest, todo, refusals=refusals)
    assert [(one.warning, one.reason) for one in status.announcements(at_rest, todo, after)] == events


def test_the_alerts_of_the_installation_hold_a_pool_to_its_own_targets_and_to_none_where_it_wants_no_alerts() -> None:
    targets = {"targets": {"queueDepthPerReplica": 5, "jobLatencySeconds": 30}}
    assert thresholds(pool(scaling=targets)).keys() == {"queueDepth", "jobWaitSeconds"}
    assert thresholds(pool(scaling={"targets": {"queueDepthPerReplica": 5}})).keys() == {"queueDepth"}
    assert thresholds(pool(scaling=targets, **OFF)) == {}


def test_a_pool_that_promises_a_latency_is_held_to_it_where_it_has_no_target_of_its_own() -> None:
    slo = {"jobLatencySeconds": 60}
    assert thresholds(pool(slo=slo))["jobWaitSeconds"] == 60
    assert thresholds(pool(slo=slo, scaling={"targets": {"jobLatencySeconds": 30}}))["jobWaitSeconds"] == 30
    assert "jobWaitSeconds" not in thresholds(pool(slo={"availability": "0.99"}))


def test_a_pools_own_thresholds_come_before_what_follows_from_its_targets() -> None:
    targets = {"queueDepth": 100, "jobLatencySeconds": 30}
    own = {"queueDepth": 0, "jobWaitSeconds": 90, "jobFailureRatio": "0.25", "slotsBusyRatio": 1}
    assert thresholds(
        pool(scaling={"targets": targets}, slo={"jobLatencySeconds": 60}, alerts={"thresholds": own})
    ) == {
        "queueDepth": 0,
        "jobWaitSeconds": 90,
        "jobFailureRatio": 0.25,
        "slotsBusyRatio": 1,
    }


def test_each_threshold_is_exported_by_the_name_that_it_has_in_the_pool() -> None:
    own: dict[str, int | str] = {
        "queueDepth": 1,
        "jobWaitSeconds": 2,
        "jobFailureRatio": "0.3",
        "deadLetters": 4,
        "redeliveryRatio": "0.05",
        "retryRatio": "0.6",
        "slotsBusyRatio": "0.7",
        "loopLagSeconds": "0.8",
        "cpuPercent": 9,
    }
    assert own.keys() == {field.alias for field in AlertThresholds.model_fields.values()}
    assert thresholds(pool(alerts={"thresholds": own})) == {kind: float(value) for kind, value in own.items()}


def test_what_a_pool_promises_of_its_depth_is_its_target_whatever_its_alerts_go_by() -> None:
    of = pool(
        scaling={"targets": {"queueDepth": 100}}, slo={"queueDepth": "0.99"}, alerts={"thresholds": {"queueDepth": 7}}
    )
    assert thresholds(of) == {"queueDepth": 7, "sloQueueDepth": 100}


def test_a_pool_without_alerts_of_its_own_is_held_to_its_numbers_by_those_that_every_pool_has() -> None:
    own = {"queueDepth": 7, "jobWaitSeconds": 9, "jobFailureRatio": "0.5", "deadLetters": 0}
    off = pool(alerts={"enabled": False, "thresholds": own}, slo={"queueDepth": "0.99"})
    assert thresholds(off) == {"jobFailureRatio": 0.5, "deadLetters": 0}
