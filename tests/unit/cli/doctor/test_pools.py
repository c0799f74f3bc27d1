"""What `wpool doctor` says of pools, and what to do about each."""

from dataclasses import replace

import pytest

from tests.unit.cli.doctor.seen import WELL, operator, pool, told
from workerpool_operator.api import Reason
from workerpool_operator.cli.doctor.checks import findings
from workerpool_operator.cli.doctor.remedies import remedy
from workerpool_operator.cli.doctor.seen import Finding, Hidden, Level
from workerpool_operator.domain.trouble import Trouble

NOT_OF_CONDITIONS = {
    # Ready, Progressing, ScalingActive, QueueReachable, Monitored, CanaryHealthy, Placed, Stalled as they should be
    *(Reason.ALL_READY, Reason.SCALED_TO_ZERO, Reason.STEADY, Reason.SCALING, Reason.VERSION_CHANGE),
    *(Reason.CANARY_RUNNING, Reason.CANARY_WAITING, Reason.DRAINING, Reason.PROGRESS_DEADLINE_EXCEEDED),
    *(Reason.ACTIVE, Reason.MANUAL, Reason.NO_SAMPLE_YET, Reason.BUDGET_PENDING, Reason.SAMPLES_FRESH),
    *(Reason.PROMETHEUS_RULE_APPLIED, Reason.ALERTS_DISABLED, Reason.NO_CANARY, Reason.CANARY_PASSING),
    *(Reason.CANARY_INCONCLUSIVE, Reason.NO_PLACES, Reason.PLACED, Reason.NOT_STALLED),
    # events only
    *(Reason.INVALID_SPEC, Reason.SCALED_UP, Reason.SCALED_DOWN, Reason.VERSION_CREATED, Reason.VERSION_REMOVED),
    *(Reason.VICTIM_MISMATCH, Reason.DRIFT_CORRECTED, Reason.WORKER_RESTARTED, Reason.WORKER_DRAINED),
    *(Reason.CANARY_STARTED, Reason.CANARY_SUPERSEDED, Reason.CANARY_WITHDRAWN, Reason.CANARY_STEPPED),
    *(Reason.CANARY_PROMOTED, Reason.VERSION_REPLACED, Reason.ROLLOUT_PAUSED, Reason.ROLLOUT_RESUMED),
    Reason.COMMAND_REFUSED,
}


def said(reason: str, message: str = "m") -> str:
    trouble = Trouble(type="Ready", status="False", reason=reason, message=message, grave=True)
    return remedy(trouble, namespace="media", pool="thumbs")


def of_pool(**conditions: str) -> list[Finding]:
    found = findings(replace(WELL, pools=[pool(**conditions)]))
    return [one for one in found if one.subject == "pool media/thumbs"]


@pytest.mark.parametrize(
    ("conditions", "says"),
    [
        ({"Ready": "True", "QueueReachable": "False"}, ["QueueReachable=False (R): m"]),
        ({"Ready": "True", "Stalled": "True"}, ["Stalled=True (R): m"]),
        ({"Ready": "True", "Stalled": "False"}, []),
        ({"Ready": "False", "Progressing": "False"}, ["Ready=False (R): m"]),
        ({"Ready": "True", "Monitored": "False"}, ["Monitored=False (R): m"]),
        ({"Ready": "True", "Placed": "False"}, ["Placed=False (R): m"]),
        ({"Ready": "True", "CanaryHealthy": "False"}, ["CanaryHealthy=False (R): m"]),
        ({}, ["the operator has not looked at it yet"]),
    ],
)
def test_a_pool_speaks_by_its_conditions(conditions: dict[str, str], says: list[str]) -> None:
    assert [one.text for one in of_pool(**conditions)] == says


def test_a_pool_that_waits_for_an_image_is_told_although_it_is_on_its_way() -> None:
    stuck = pool(Ready="False", Progressing="True")
    stuck["status"]["conditions"][0] |= {"reason": "ImagePullFailed", "message": "pod thumbs-a: not found"}
    found = told(replace(WELL, pools=[stuck]), "pool media/thumbs")
    assert (found.level, found.text) == (Level.BAD, "Ready=False (ImagePullFailed): pod thumbs-a: not found")
    assert "spec.worker.imagePullSecrets" in found.remedy


@pytest.mark.parametrize("reason", sorted(set(Reason) - NOT_OF_CONDITIONS))
def test_each_reason_has_a_remedy_of_its_own(reason: str) -> None:
    others = {said(other) for other in set(Reason) - NOT_OF_CONDITIONS - {reason}}
    assert said(reason) not in {said("Later"), *others}
    assert "{" not in said(reason).replace("watchNamespaces={", "")


def test_a_refusal_by_pod_security_has_another_one_than_a_webhooks() -> None:
    violates = 'pods "thumbs-a" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true'
    assert "pod-security.kubernetes.io/enforce=baseline" in said(Reason.APPLY_REFUSED, violates)
    assert "webhook" in said(Reason.APPLY_REFUSED, "denied the request: no")


def test_workers_that_wait_are_told_to_come_back_to_where_they_belong() -> None:
    """Which is the secondary place for a pool that was moved there."""
    waits = pool(Placed="False")
    waits["status"]["conditions"][0]["reason"] = "FailbackWaits"
    waits["spec"] = {"placement": {"primary": {"nodeSelector": {"zone": "a"}}, "secondary": {}}}
    remedies = []
    for place in ("primary", "secondary"):
        waits["metadata"]["annotations"] = {"workerpool.dev/place": place}
        remedies.append(told(replace(WELL, pools=[waits]), "pool media/thumbs").remedy)
    assert remedies == [
        f"wpool migrate thumbs --to {place} -n media lets them come back" for place in ("primary", "secondary")
    ]


def test_a_reason_of_another_release_leads_to_what_is_known() -> None:
    assert said("Later") == "wpool describe thumbs -n media shows all that the operator says of it"


def test_of_many_pools_in_trouble_the_rest_is_counted() -> None:
    found = findings(replace(WELL, pools=[pool(f"p{number}", Stalled="True") for number in range(25)]))
    assert told(replace(WELL, pools=[pool(f"p{n}", Stalled="True") for n in range(25)]), "pools").text.startswith(
        "5 more"
    )
    assert len([finding for finding in found if finding.subject.startswith("pool media/")]) == 20


def test_a_pool_where_the_operator_does_not_look_is_told_of() -> None:
    """It has no status, and never will have; what an operator looks after stands in its Deployment."""
    env = [{"name": "POD_NAME"}, {"name": "WATCH_NAMESPACES", "value": "mail, office"}]
    limited = operator() | {"spec": {"template": {"spec": {"containers": [{"env": env}]}}}}
    found = told(replace(WELL, operators=[limited]), "pool media/thumbs")
    assert (found.level, found.text) == (Level.BAD, "the operator looks after other namespaces only")
    assert "watchNamespaces" in found.remedy
    env[1]["value"] = "mail,media"
    assert told(replace(WELL, operators=[limited]), "pools").level is Level.GOOD
    env[1]["value"] = ""
    assert told(replace(WELL, operators=[limited]), "pools").level is Level.GOOD


def test_a_namespace_that_there_is_none_of_is_not_said_to_be_well() -> None:
    nothing = replace(WELL, pools=[], only="nosuch", namespaces={})
    found = told(replace(nothing, only_there=False), "namespace nosuch")
    assert (found.level, found.text) == (Level.BAD, "there is none of this name")
    assert "kubectl get namespaces" in found.remedy
    assert [one for one in findings(replace(nothing, only_there=False)) if one.subject == "pools"] == []


def test_no_pools_are_no_pools() -> None:
    """And whoever may not see namespaces is told nothing false of theirs."""
    nothing = replace(WELL, pools=[], only="quiet", namespaces={})
    assert told(nothing, "pools").text == "there are none in quiet"
    hidden = told(replace(nothing, only_there=Hidden("you may not read it")), "pools")
    assert hidden.level is Level.GOOD
    assert hidden.text == "there are none in quiet, and you may not see whether there is such a namespace"
    assert told(replace(nothing, only=""), "pools").text == "there are none"


def test_who_may_not_list_pools_is_told_which_to_ask_for() -> None:
    found = told(replace(WELL, pools=Hidden("you may not read it")), "pools")
    assert found.level is Level.BAD
    assert "--namespace NAMESPACE" in found.remedy
