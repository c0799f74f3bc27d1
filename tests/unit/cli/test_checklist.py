"""`wpool checklist`: what a pool tells of itself before it goes live."""

from typing import Any

import pytest

from tests.support.pools import pool_body, queue
from workerpool_operator.cli.checklist.checks import Point, State, points
from workerpool_operator.cli.checklist.command import markdown

SECRET = {"secretKeyRef": {"name": "redis", "key": "password"}}
SPREAD = {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway"}
READY: dict[str, Any] = {
    "worker": {
        "image": "registry.example:5000/thumbs:1.4.2",
        "resources": {"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}},
        "topologySpreadConstraints": [SPREAD],
    },
    "queues": [
        queue(credentials={"password": SECRET}, redisStream={"url": "rediss://redis:6379", "stream": "s", "group": "g"})
    ],
    "scaling": {"maxReplicas": 20, "downstreamMaxConcurrency": 100},
    "rollout": {"strategy": "Canary"},
    "slo": {"availability": "0.999"},
}
ONE_PLACE = {"nodeSelector": {"zone": "west"}}
GOOD = [{"type": kind, "status": "True", "reason": "Fine"} for kind in ("Ready", "QueueReachable", "Monitored")]


def found(*, annotations: dict[str, str] | None = None, **spec: Any) -> dict[str, list[Point]]:
    body = pool_body(**(READY | spec))
    body["metadata"]["annotations"] = annotations or {}
    body["status"] = {"conditions": GOOD}
    by_subject: dict[str, list[Point]] = {}
    for point in points(body):
        by_subject.setdefault(point.subject, []).append(point)
    return by_subject


def still_open(**spec: Any) -> list[str]:
    return [name for name, told in found(**spec).items() if any(point.state is State.OPEN for point in told)]


def test_a_pool_that_is_ready_leaves_only_what_people_know() -> None:
    states = {point.state for told in found().values() for point in told}
    assert states == {State.DONE, State.ASK}


@pytest.mark.parametrize(
    ("spec", "subject"),
    [
        ({"worker": READY["worker"] | {"image": "registry.example:5000/thumbs"}}, "image"),
        ({"worker": READY["worker"] | {"image": "thumbs:latest"}}, "image"),
        ({"worker": READY["worker"] | {"resources": {"requests": {"cpu": "1"}}}}, "resources"),
        ({"worker": READY["worker"] | {"topologySpreadConstraints": []}}, "nodes"),
        ({"queues": [queue()]}, "queue main"),
        ({"scaling": {"maxReplicas": 20}}, "downstream"),
        ({"scaling": {"maxReplicas": 50, "budget": {"name": "b"}}}, "bounds"),
        ({"rollout": {"strategy": "Rolling"}}, "new versions"),
        ({"slo": {}}, "promises"),
        ({"slo": {"jobLatencyQuantile": "0.95"}}, "promises"),
        ({"disruption": {"maxUnavailable": "100%"}}, "maintenance"),
        ({"disruption": {"maxUnavailable": 20}}, "maintenance"),
        ({"disruption": {"maxUnavailable": 0}, "placement": {"secondary": ONE_PLACE}}, "maintenance"),
        ({"suspend": True}, "overrides"),
        ({"annotations": {"workerpool.dev/paused": "true"}}, "overrides"),
    ],
)
def test_what_is_missing_is_open(spec: dict[str, Any], subject: str) -> None:
    assert still_open(**spec) == [subject]


@pytest.mark.parametrize(
    "spec",
    [
        {"scaling": {"maxReplicas": 20}, "delivery": {"rateLimitPerSecond": 50}},
        {"slo": {"jobLatencySeconds": 30}},
        {"disruption": {"maxUnavailable": "25%"}},
        {"disruption": {"maxUnavailable": "100%"}, "placement": {"secondary": ONE_PLACE}},
        {"scaling": {"maxReplicas": 1, "downstreamMaxConcurrency": 10}},
    ],
    ids=["a rate", "a latency", "a part", "another place", "the only worker"],
)
def test_what_will_do_as_well_is_not(spec: dict[str, Any]) -> None:
    """There is more than one way, and of one worker no part can stay."""
    assert still_open(**spec) == []


def test_what_only_people_know_is_asked_of_every_pool() -> None:
    """What was tried before, and who looks at what afterwards."""
    asked = {name for name, told in found().items() if told[0].state is State.ASK}
    assert asked == {
        *("handlers", "tests", "load", "drain", "chaos", "failover", "recovery", "way back"),
        *("dead letters", "dashboards", "on call"),
    }


def test_what_is_left_by_hand_is_taken_away_by_what_is_written_there() -> None:
    """With the pool's own name, and without what is not there."""
    [both] = found(annotations={"workerpool.dev/paused": "true", "workerpool.dev/freeze": "in"}, suspend=True)[
        "overrides"
    ]
    assert both.remedy == (
        "take them away: kubectl annotate wpool thumbs workerpool.dev/paused- workerpool.dev/freeze- -n media, then "
        "wpool start thumbs -n media"
    )
    [stopped] = found(suspend=True)["overrides"]
    assert stopped.remedy == "take them away: wpool start thumbs -n media"


def test_a_digest_pins_an_image() -> None:
    assert still_open(worker=READY["worker"] | {"image": "thumbs@sha256:" + "0" * 64}) == []


def test_a_pool_that_the_operator_has_not_seen_is_not_ready() -> None:
    told = {point.subject: point for point in points(pool_body(**READY))}
    assert {told[name].state for name in ("ready", "queues", "alerts")} == {State.OPEN}
    assert (told["ready"].remedy, told["queues"].remedy) == (
        "wpool describe thumbs -n media",
        "wpool doctor -n media",
    )


def test_every_open_point_has_its_remedy_and_markdown_has_boxes() -> None:
    told = points(pool_body())
    assert all(point.remedy for point in told if point.state is State.OPEN)
    lines = markdown("thumbs", told).splitlines()
    assert lines[0] == "# Go-live of thumbs"
    assert len([line for line in lines if line.startswith(("- [ ] ", "- [x] "))]) == len(told)
