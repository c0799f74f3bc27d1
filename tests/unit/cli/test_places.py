"""Where a pool's workers are, and how far a move between places is, in words."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.pools import pool_body
from workerpool_operator.cli.places import Placed, place_of, placed, progress, told
from workerpool_operator.domain.desired import PLACE_LABEL, place_key

A, B = {"zone": "a"}, {"zone": "b"}
NOW = datetime(2030, 1, 31, 12, 5, 0, tzinfo=UTC)
LOST = "those that belong to the primary one count as lost"
BEGUN = "2030-01-31T12:00:00Z"


def pool(
    reason: str, *, told_to: str = "", failback: str = "Auto", active: str = "primary", lost: int = 0, **status: Any
) -> dict[str, Any]:
    body = pool_body(placement={"primary": {"nodeSelector": A}, "secondary": {"nodeSelector": B}, "failback": failback})
    place, _, at = told_to.partition("@")
    annotations = {"workerpool.dev/place": place, "workerpool.dev/place-said-at": at}
    body["metadata"] |= {"annotations": {key: value for key, value in annotations.items() if value}, "generation": 1}
    condition = {
        "type": "Placed",
        "status": "True" if reason == "Placed" else "False",
        "reason": reason,
        "message": "so it is",
        "lastTransitionTime": BEGUN,
        "observedGeneration": 1,
    }
    placement = {"active": active, "since": BEGUN, "lost": lost, **status}
    body["status"] = {"placement": placement, "conditions": [condition]}
    return body


def pods(selector: dict[str, str], *, ready: int, others: int = 0, node: str = "n1") -> list[dict[str, Any]]:
    def one(state: str) -> dict[str, Any]:
        status = {"phase": "Running", "conditions": [{"type": "Ready", "status": state}]}
        labels = {PLACE_LABEL: place_key(selector)}
        return {"metadata": {"name": "p", "labels": labels}, "spec": {"nodeName": node}, "status": status}

    return [one("True")] * ready + [one("False")] * others


def view(body: dict[str, Any], there: Sequence[dict[str, Any]] = ()) -> Placed:
    found = placed(body, there)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("body", "there", "words"),
    [
        (pool("Placed"), pods(A, ready=3), ""),
        (
            pool("Moving", told_to="secondary"),
            [*pods(B, ready=2, others=1), *pods(A, ready=3)],
            "move: 2 ready in the secondary place, 3 still in the primary place",
        ),
        (
            pool("Moving", told_to="secondary"),
            pods(B, ready=4, others=1),
            "move: 4 ready in the secondary place, none left elsewhere",
        ),
        (
            pool("Moving"),
            [*pods(A, ready=1), *pods({"zone": "c"}, ready=2)],
            "move: 1 ready in the primary place, 2 still in a place that the pool named before",
        ),
        (
            pool("FailedOver", active="secondary", lost=3),
            [*pods(A, ready=1), *pods(B, ready=2, others=1)],
            "failover: 2 of 3 ready in the secondary place",
        ),
        (pool("FailedOver", active="secondary", lost=3), pods(A, ready=3), "failover: 0 of 3 ready in secondary"),
        (
            pool("FailingBack", active="secondary", lost=1),
            [*pods(A, ready=4), *pods(B, ready=1)],
            "failback: 4 ready in the primary place, 1 still in the secondary place",
        ),
    ],
)
def test_how_far_it_is(body: dict[str, Any], there: list[dict[str, Any]], words: str) -> None:
    assert progress(view(body, there)) == words


def test_who_is_on_a_lost_node_is_lost_whatever_kubernetes_says_of_it() -> None:
    """Kubernetes calls such a pod ready for a while."""
    body = pool("FailedOver", active="secondary", lost=2, lostNodes=["n1"])
    found = view(body, [*pods(A, ready=2), *pods(A, ready=1, node="n2")])
    assert [(line.ready, line.lost, line.pods) for line in found.lines] == [(1, 2, 3), (0, 0, 0)]


@pytest.mark.parametrize(
    ("body", "sentences"),
    [
        (
            pool("Placed"),
            [
                "Placed=True, for 5m: Placed: so it is",
                "workers are added to the primary place, for 5m",
                "they belong to the primary place, as the pool says",
            ],
        ),
        (
            pool("FailedOver", active="secondary", lost=2),
            [
                "Placed=False, for 5m: FailedOver: so it is",
                f"workers are added to the secondary place, for 5m, 2 of {LOST}",
                "they belong to the primary place, as the pool says",
                "until that place has had its workers for a minute: they come back by themselves (failback: Auto)",
            ],
        ),
    ],
)
def test_the_state_is_told_with_why_since_and_until(body: dict[str, Any], sentences: list[str]) -> None:
    assert list(told(view(body), now=NOW)) == sentences


@pytest.mark.parametrize(
    ("body", "until"),
    [
        (
            pool("FailbackWaits", failback="Manual", lost=1),
            "(failback: Manual): wpool migrate thumbs --to primary -n media",
        ),
        (
            pool("FailedOver", failback="Manual", lost=1, told_to="secondary@2030-01-31T11:00:00Z"),
            "wpool migrate thumbs --to secondary -n media",
        ),
        (
            pool("FailingBack", failback="Manual", active="secondary", lost=1, told_to="primary@2030-01-31T12:01:00Z"),
            "they come back by themselves (as wpool migrate said)",
        ),
        (pool("Moving", told_to="secondary"), "until the last worker has moved"),
    ],
)
def test_what_ends_it(body: dict[str, Any], until: str) -> None:
    assert until in list(told(view(body), now=NOW))[-1]


def test_who_said_where_they_belong_is_told() -> None:
    assert "they belong to the secondary place, as wpool migrate said, until it says otherwise" in told(
        view(pool("Placed", told_to="secondary")), now=NOW
    )


def test_workers_that_leave_a_place_of_before_are_told_of_without_pods() -> None:
    """As `wpool explain` asks: by the condition alone."""
    body = pool("Moving")
    del body["spec"]["placement"], body["status"]["placement"]
    assert next(told(view(body), now=NOW)) == "Placed=False, for 5m: Moving: so it is"
    body["status"]["conditions"][0] |= {"status": "True", "reason": "NoPlaces"}
    assert placed(body, ()) is None


def test_a_pod_has_the_name_of_its_place() -> None:
    body = pool("Placed")
    assert [place_of(body, pods(one, ready=1)[0]) for one in (A, B, {"zone": "c"})] == ["primary", "secondary", ""]
