"""Who allows chaos, and how what was changed is changed back."""

import json
from typing import Any

import pytest

from workerpool_operator.cli.chaos.hands.cut import selects
from workerpool_operator.cli.chaos.hands.delay import broker_service, led_to
from workerpool_operator.cli.chaos.marks import BROKEN_LABEL, UNDO_ANNOTATION, allows, broken, undoing
from workerpool_operator.cli.cluster import TroubleError


def body(**metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": "it", **metadata}}


@pytest.mark.parametrize(
    ("found", "allowed"),
    [
        (None, False),
        (body(), False),
        (body(labels={"workerpool.dev/chaos": "true"}), False),
        (body(labels={"workerpool.dev/chaos": "allowed"}), True),
    ],
)
def test_only_the_very_label_allows_it(found: dict[str, Any] | None, *, allowed: bool) -> None:
    assert allows(found) is allowed


def test_what_was_changed_carries_the_way_back() -> None:
    """It also takes the marks off."""
    patch = broken({"spec": {"unschedulable": True}}, undo={"spec": {"unschedulable": None}}, pool="thumbs")
    assert patch["spec"] == {"unschedulable": True}
    assert undoing(body(**patch["metadata"])) == {
        "spec": {"unschedulable": None},
        "metadata": {"labels": {BROKEN_LABEL: None}, "annotations": {UNDO_ANNOTATION: None}},
    }


def test_what_was_made_has_no_way_back_but_to_go() -> None:
    assert undoing(body(labels={BROKEN_LABEL: "thumbs"})) is None


@pytest.mark.parametrize("undo", [{"metadata": {"labels": {"x": "y"}}}, {"spec": {}, "roleRef": {}}, []])
def test_an_annotation_that_says_more_than_ours_is_not_followed(undo: Any) -> None:
    """It may be anybody's who may write the object, and would be done with another one's rights."""
    with pytest.raises(ValueError, match="not one that wpool chaos writes"):
        undoing(body(annotations={UNDO_ANNOTATION: json.dumps(undo)}))


def merged(base: Any, patch: Any) -> Any:
    """As the API server merges (RFC 7386)."""
    if not isinstance(patch, dict):
        return patch
    found = dict(base) if isinstance(base, dict) else {}
    for key, value in patch.items():
        if value is None:
            found.pop(key, None)
        else:
            found[key] = merged(found.get(key), value)
    return found


def test_a_service_leads_to_the_proxy_alone_and_back_to_what_it_led_to() -> None:
    spec = {"selector": {"app": "redis"}, "ports": [{"port": 6379, "targetPort": "redis", "protocol": "TCP"}]}
    there, back = led_to("f00", spec)
    led = merged({"spec": spec}, there)
    assert led["spec"]["selector"] == {"workerpool.dev/chaos-proxy": "f00"}
    assert led["spec"]["ports"] == [{"port": 6379, "targetPort": 20000, "protocol": "TCP"}]
    assert merged(led, back) == {"spec": spec}


@pytest.mark.parametrize("host", ["redis", "redis.media", "redis.media.svc", "redis.media.svc.cluster.local"])
def test_the_service_of_a_broker_is_found_by_its_address(host: str) -> None:
    assert broker_service([f"redis://{host}:6379/0"], "media") == "redis"


@pytest.mark.parametrize("url", ["redis://redis.shop.svc:6379/0", "kafka://10.0.0.1:9092,10.0.0.2:9092", ""])
def test_a_broker_elsewhere_is_left_alone(url: str) -> None:
    """An address of the network is no Service either."""
    with pytest.raises(TroubleError, match="no queue of this pool"):
        broker_service([url], "media")


def test_a_policy_is_about_pods_with_its_labels() -> None:
    labels = {"workerpool.dev/pool": "thumbs", "x": "y"}
    assert selects({"spec": {"podSelector": {}}}, labels)
    assert selects({"spec": {"podSelector": {"matchLabels": {"x": "y"}}}}, labels)
    assert not selects({"spec": {"podSelector": {"matchLabels": {"x": "z"}}}}, labels)
