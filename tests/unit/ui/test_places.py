"""Where a pool's workers are, as the page shows it."""

from typing import Any

import pytest

from tests.support.pools import pool_body
from workerpool_operator.cli.places import destinations, home_of
from workerpool_operator.domain.desired import PLACE_LABEL, place_key
from workerpool_operator.ui.places import placement
from workerpool_operator.ui.verbs import buttons

A, B = {"zone": "a"}, {"zone": "b"}
BOTH = {"primary": {"nodeSelector": A}, "secondary": {"nodeSelector": B}}


def body(place: str = "", *, said: str = "", failback: str = "Auto", lost: int = 0, **placement: Any) -> dict[str, Any]:
    """A pool of two places unless others are said; `place` and `said` are the annotations."""
    pool = pool_body(placement={**(placement or BOTH), "failback": failback})
    annotations = {"workerpool.dev/place": place, "workerpool.dev/place-said-at": said}
    pool["metadata"]["annotations"] = {key: value for key, value in annotations.items() if value}
    condition = {"type": "Placed", "status": "False", "reason": "FailedOver", "message": "2 workers are lost"}
    since = "2030-01-31T12:00:00Z"
    pool["status"] = {"placement": {"active": "secondary", "since": since, "lost": lost}, "conditions": [condition]}
    return pool


def pod(selector: dict[str, str], *, ready: bool = True, node: str = "n1", going: bool = False) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": "p", "labels": {PLACE_LABEL: place_key(selector)} if selector else {}}
    if going:
        metadata["deletionTimestamp"] = "2030-01-31T12:00:00Z"
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True" if ready else "False"}]}
    return {"metadata": metadata, "spec": {"nodeName": node} if node else {}, "status": status}


def test_workers_are_counted_by_place() -> None:
    """Those that are being deleted count nowhere; those of a place named before have a line of their own."""
    pods = [pod(A), pod(A, ready=False), pod(A, ready=False, node=""), pod(B), pod(B, going=True), pod({"zone": "c"})]
    view = placement(body(lost=2), pods)
    assert view is not None
    assert [(line.name, line.ready, line.pods, line.pending) for line in view.placed.lines] == [
        ("primary", 1, 3, 1),
        ("secondary", 1, 1, 0),
        ("", 1, 1, 0),
    ]
    assert [line.nodes for line in view.placed.lines[:2]] == ["zone=a", "zone=b"]
    assert [line.home for line in view.placed.lines] == [True, False, False]
    assert [line.active for line in view.placed.lines] == [False, True, False]
    assert (view.placed.lost, view.placed.active, view.placed.active_since) == (2, "secondary", "2030-01-31T12:00:00Z")
    assert (view.state.word, view.state.tone) == ("FailedOver", "bad")
    assert view.progress == "failover: 2 of 2 ready in the secondary place and a place that the pool named before"


def test_a_pool_without_places_shows_none() -> None:
    """Unless workers of a place that it named before are still there."""
    assert placement(pool_body(), [pod({})]) is None
    view = placement(pool_body(), [pod(A)])
    assert view is not None
    assert [(line.name, line.pods) for line in view.placed.lines] == [("", 1)]


@pytest.mark.parametrize(
    ("pool", "home", "to"),
    [
        (pool_body(), "", []),
        (body(primary={"nodeSelector": A}), "primary", []),
        (body(), "primary", ["secondary"]),
        (body("primary"), "primary", ["secondary"]),
        (body("secondary"), "secondary", ["primary"]),
        (body("nowhere"), "primary", ["secondary"]),
        (body("secondary", primary={"nodeSelector": A}), "primary", []),
        (body(failback="Manual"), "primary", ["secondary"]),
        (body(failback="Manual", lost=2), "primary", ["secondary", "primary"]),
        (body("primary", failback="Manual", lost=2), "primary", ["secondary"]),
        (body("primary", said="2030-01-31T12:00:01Z", failback="Manual", lost=2), "primary", ["secondary"]),
        (body("primary", said="2030-01-30T12:00:00Z", failback="Manual", lost=2), "primary", ["secondary", "primary"]),
        (body(lost=2), "primary", ["secondary"]),
    ],
)
def test_workers_may_be_sent_where_they_do_not_belong_yet(pool: dict[str, Any], home: str, to: list[str]) -> None:
    """And home, where they wait for somebody to say so; each is a button that asks first."""
    assert home_of(pool) == home
    assert destinations(pool) == to
    found = [button for button in buttons(pool) if button.verb.startswith("migrate-")]
    assert [button.verb for button in found] == [f"migrate-{place}" for place in to]
    assert all(button.confirm for button in found)
