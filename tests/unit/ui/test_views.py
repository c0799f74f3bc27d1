"""What is shown of objects, of this operator's release or of another one."""

from typing import Any

import pytest

from tests.support.pools import pool_body
from workerpool_operator.ui import drains, views
from workerpool_operator.ui.state import State
from workerpool_operator.ui.verbs import buttons, throttle_of


def condition(kind: str, status: str, reason: str = "Because", **fields: Any) -> dict[str, Any]:
    return {"type": kind, "status": status, "reason": reason, **fields}


def body(**status: Any) -> dict[str, Any]:
    return pool_body() | {"status": status}


@pytest.mark.parametrize(
    ("conditions", "word", "tone"),
    [
        ([], "Unknown", "none"),
        ([condition("Ready", "Unknown")], "Unknown", "none"),
        ([condition("Ready", "True")], "Ready", "good"),
        ([condition("Ready", "False", "WorkersNotReady")], "WorkersNotReady", "bad"),
        ([condition("Ready", "False", "NoWorkers"), condition("Progressing", "True")], "Progressing", "busy"),
        ([condition("Ready", "False", "ImagePullFailed"), condition("Progressing", "True")], "ImagePullFailed", "bad"),
        ([condition("Ready", "True"), condition("QueueReachable", "False", "Unreachable")], "Unreachable", "bad"),
        ([condition("Ready", "True"), condition("Placed", "False", "Moving")], "Ready", "good"),
        ([condition("Ready", "True"), condition("Stalled", "True", "WorkersStuck")], "WorkersStuck", "bad"),
    ],
)
def test_a_pool_has_a_state_in_a_word(conditions: list[dict[str, Any]], word: str, tone: str) -> None:
    """Stalled counts most: what is stalled may well be Ready."""
    assert views.pool_state(body(conditions=conditions)) == State(word, tone)


def test_pools_are_added_up() -> None:
    """What is not known counts as nothing."""
    good = body(readyReplicas=2, scaling={"depth": 7, "desired": 3}, conditions=[condition("Ready", "True")])
    bad = body(scaling={"depth": None}, conditions=[condition("Ready", "False")])
    assert views.totals([good, bad, pool_body()]) == views.Totals(pools=3, troubled=1, waiting=7, ready=2, desired=3)


def test_a_row_does_not_change_because_time_goes_by() -> None:
    """Its age is counted in the browser."""
    pool = body()
    pool["metadata"]["creationTimestamp"] = "2030-01-31T12:00:00Z"
    assert views.pool_line(pool) == views.pool_line(pool)
    assert views.pool_line(pool).born == "2030-01-31T12:00:00Z"


@pytest.mark.parametrize(
    ("rollout", "words"),
    [
        ({}, ("-", "none")),
        ({"canary": "b", "weight": 10, "verdict": "Pass"}, ("10 % · Pass", "good")),
        ({"canary": "b", "weight": 10}, ("10 % · no verdict yet", "busy")),
        ({"wanted": "b", "rejected": ["b"]}, ("rejected", "bad")),
        ({"wanted": "b", "rejected": ["a"]}, ("-", "none")),
    ],
)
def test_a_canary_is_told_in_the_table(rollout: dict[str, Any], words: tuple[str, str]) -> None:
    """With its weight and verdict."""
    line = views.pool_line(body(rollout=rollout))
    assert (line.canary, line.canary_tone) == words


def test_conditions_in_trouble_come_first() -> None:
    """True is trouble for Stalled, False for the others; Progressing is none either way."""
    told = [condition("Ready", "True"), condition("Progressing", "False"), condition("Stalled", "True")]
    lines = views.conditions(body(conditions=told))
    assert [(line.type, line.state.tone) for line in lines] == [
        ("Stalled", "bad"),
        ("Ready", "good"),
        ("Progressing", "none"),
    ]
    assert views.conditions(pool_body()) == []


def test_pods_in_trouble_come_first() -> None:
    """With what their worker says, where it says anything."""
    running = {"metadata": {"name": "b"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    waiting = {"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "restartCount": 4}
    crashing = {"metadata": {"name": "c"}, "status": {"containerStatuses": [waiting]}}
    first, second = views.pods([running, crashing], in_flight={"b": 2}, rates={"b": 0.5})
    assert (first.name, first.state, first.restarts) == ("c", State("CrashLoopBackOff", "bad"), 4)
    assert (first.in_flight, first.per_minute) == (None, None)
    assert (second.state.tone, second.in_flight, second.per_minute) == ("good", 2, 30)


def test_a_pod_of_a_lost_node_is_lost_whatever_kubernetes_says_of_it() -> None:
    """Kubernetes calls it ready for a while."""
    status = {"conditions": [{"type": "Ready", "status": "True"}]}
    pods = [{"metadata": {"name": name}, "spec": {"nodeName": node}, "status": status} for name, node in ("a1", "b2")]
    lost, there = views.pods(pods, in_flight={}, rates={}, lost={"2"})
    assert (lost.name, lost.state) == ("b", State("Lost, and fenced", "bad"))
    assert (there.name, there.state) == ("a", State("Ready", "good"))


def test_the_newest_event_comes_first() -> None:
    """By when it was last seen."""
    once = {"metadata": {}, "reason": "Once", "eventTime": "2030-01-31T12:00:00.000000Z"}
    series = {"count": 3, "lastObservedTime": "2030-01-31T13:00:00.000000Z"}
    again = {
        "metadata": {},
        "reason": "Again",
        "type": "Warning",
        "eventTime": "2030-01-31T11:00:00Z",
        "series": series,
    }
    bare = {"metadata": {"creationTimestamp": "2030-01-31T10:00:00Z"}, "deprecatedCount": 2}
    assert [(line.reason, line.warning, line.count) for line in views.events([bare, once, again])] == [
        ("Again", True, 3),
        ("Once", False, 1),
        ("", False, 2),
    ]


def test_a_verdict_comes_with_its_interval() -> None:
    """And with the bounds that the pool sets."""
    told = {
        "canary": "b",
        "stable": "a",
        "verdict": "Fail",
        "ratio": "4",
        "ratioLow": "3.1",
        "ratioHigh": "5",
        "jobs": 10,
    }
    pool = body(rollout=told)
    pool["spec"]["rollout"] = {"analysis": {"rejectRatio": 2}}
    found = views.rollout(pool)
    assert found is not None
    assert (found.verdict, found.tolerate, found.reject) == (State("Fail", "bad"), "1.25", "2")
    assert found.picture is not None
    assert found.picture.reject < found.picture.low < found.picture.ratio < found.picture.high
    assert ("Of them failed", "0") not in found.facts
    assert views.rollout(pool_body()) is None
    nothing = views.rollout(body(rollout={"stable": "a", "wanted": "a"}))
    assert nothing is not None
    assert (nothing.canary, nothing.rejected, nothing.picture) == ("", False, None)
    assert nothing.said == "Version a is the stable one; no other is tried."


def test_a_verdict_is_told_as_the_commands_tell_it() -> None:
    """By what it follows from, what would decide it and what is waited for; also where there is no ratio to draw."""
    told = {"canary": "b", "stable": "a", "verdict": "Fail", "cause": "FailureBudget", "ratioLow": "3.1", "jobs": 10}
    found = views.rollout(body(rollout={**told, "failures": 4, "signal": "failures"}))
    assert found is not None
    assert found.picture is None
    assert found.told[0].startswith("Verdict Fail by FailureBudget: more first attempts of the canary failed")
    assert "Failures: more than 3.1 times the stable version's rate (95 %), which had none." in found.told


def test_what_is_not_tried_is_not_said_to_be_stable() -> None:
    """A version that takes over without a canary, and one that was rejected, with why and what may be done."""
    replacing = views.rollout(body(rollout={"stable": "", "wanted": "b"}))
    assert replacing is not None
    assert replacing.said == "Version b takes over from none without a canary."
    why = condition("CanaryHealthy", "False") | {"reason": "CanaryRejected", "message": "it failed 4 times as often"}
    rejected = views.rollout(body(rollout={"stable": "a", "wanted": "b", "rejected": ["b"]}, conditions=[why]))
    assert rejected is not None
    assert rejected.said == "Version b, which the pool asks for, was tried and rejected; a runs."
    assert rejected.told[0] == "It failed 4 times as often."
    assert "wpool rollout retry thumbs -n media" in rejected.told[1]


def test_a_budget_of_nothing_is_full_of_nothing() -> None:
    """No division by zero; and what another release left out is 0."""
    bare = {"metadata": {"name": "b"}, "spec": {"maxReplicas": 0}}
    full = {
        "metadata": {"name": "a"},
        "spec": {"maxReplicas": 4},
        "status": {"used": 9, "pools": [{"namespace": "n", "name": "p"}]},
    }
    first, second = views.budgets([bare, full])
    assert (first.name, first.percent, first.pools[0]["wanted"]) == ("a", 100, 0)
    assert (second.name, second.percent) == ("b", 0)


def verbs(**rollout: Any) -> list[str]:
    return [one.verb for one in buttons(body(rollout=rollout))]


def test_only_buttons_that_fit_are_there() -> None:
    """None that would be refused."""
    usual = ["stop", "hold-size", "throttle", "restart", "reassign", "drain-node"]
    assert verbs() == usual
    assert verbs(stable="a", wanted="a") == usual
    assert verbs(stable="a", wanted="b", rejected=["b"]) == ["retry", *usual]
    assert verbs(stable="a", wanted="b", canary="b") == ["promote", "promote-full", "abort", "pause", *usual]
    assert "resume" in verbs(stable="a", wanted="b", canary="b", wait="Paused")
    held = pool_body()
    held["metadata"]["annotations"] = {
        "workerpool.dev/paused": "true",
        "workerpool.dev/throttle": "5@2999-01-31T12:00:00Z",
        "workerpool.dev/drain-node": "n7@2026-01-01T00:00:00+00:00/2999-01-31T12:00:00+00:00",
    }
    held["spec"]["suspend"] = True
    assert [one.verb for one in buttons(held)] == [
        "start",
        "release-size",
        "throttle",
        "unthrottle",
        "restart",
        "reassign",
        "drain-node",
        "end-drain",
    ]
    kafka = pool_body(queues=[{"name": "main", "kafka": {"bootstrapServers": ["k:9092"], "topic": "t", "group": "g"}}])
    assert "throttle" not in [one.verb for one in buttons(kafka)]


def test_nodes_that_workers_leave_are_told_while_they_do() -> None:
    """By the end of each order."""
    pool, begun = pool_body(), "2026-01-01T00:00:00+00:00"
    orders = f"n7@{begun}/2999-01-31T12:00:00+02:00,n8@{begun}/2026-01-02T00:00:00+00:00"
    pool["metadata"]["annotations"] = {"workerpool.dev/drain-node": orders}
    assert drains.in_force(pool) == ["n7 until 10:00:00 UTC"]
    pool["metadata"]["annotations"] = {"workerpool.dev/drain-node": "no order"}
    assert drains.in_force(pool) == []


def test_the_nodes_to_choose_from_are_those_that_workers_are_on() -> None:
    """Each once; a pod without one is not on any."""
    pods = [{"spec": {"nodeName": name}} for name in ("b", "a", "b")]
    assert drains.nodes([*pods, {"spec": {}}, {}]) == ["a", "b"]


@pytest.mark.parametrize("text", ["", "5", "5@", "5@soon", "5@2001-01-31T12:00:00Z", "5@2999-01-31T12:00:00", "@"])
def test_no_throttle_is_told_where_none_is_in_force(text: str) -> None:
    """Over, or not understood."""
    pool = pool_body()
    pool["metadata"]["annotations"] = {"workerpool.dev/throttle": text}
    assert throttle_of(pool) == ""
