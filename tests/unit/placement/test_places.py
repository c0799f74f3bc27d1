"""Names and templates of places; those of a pool without any are what they always were."""

from typing import Any

import pytest

from tests.unit.domain.builders import pool
from workerpool_operator.domain import desired

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
ZONE = {"topology.kubernetes.io/zone": "west-1", "disk": "ssd"}
TERMS = [
    {"matchExpressions": [{"key": "arch", "operator": "In", "values": ["arm"]}]},
    {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]},
]


def template(**worker: Any) -> Any:
    of = pool(worker={"image": "web:1", **worker})
    return desired.stored_template(desired.revision_for(of).body)


def node_affinity(*terms: Any, **more: Any) -> Any:
    return {"affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": list(terms)}, **more}}}


def terms(of: Any) -> Any:
    return of["spec"]["affinity"]["nodeAffinity"][REQUIRED]["nodeSelectorTerms"]


def test_the_key_of_a_place_is_pinned_since_names_of_running_deployments_follow_from_it() -> None:
    assert (desired.place_key(ZONE), desired.place_key(dict(reversed(ZONE.items())))) == ("dbb1eb", "dbb1eb")
    assert desired.place_key({}) == ""


def test_any_node_is_no_place_and_changes_neither_name_nor_template() -> None:
    assert desired.deployment_name("web-1-2", "") == "web-1-2" == desired.revision_of("web-1-2", "")
    one = template()
    assert desired.placed(one, {}) is one
    assert desired.unplaced(one, {}) is one


def test_a_place_has_a_name_and_a_label_and_is_required() -> None:
    key = desired.place_key(ZONE)
    assert desired.revision_of(desired.deployment_name("web-1-2", key), key) == "web-1-2"
    found = desired.placed(template(), ZONE)
    assert found["metadata"]["labels"][desired.PLACE_LABEL] == key
    wanted = [
        {"key": "disk", "operator": "In", "values": ["ssd"]},
        {"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["west-1"]},
    ]
    assert terms(found) == [{"matchExpressions": wanted}]


def test_a_place_narrows_each_of_the_users_alternatives_and_none_is_widened() -> None:
    found = terms(desired.placed(template(**node_affinity(*TERMS, {})), {"disk": "ssd"}))
    place = {"key": "disk", "operator": "In", "values": ["ssd"]}
    assert found == [
        {"matchExpressions": [*TERMS[0]["matchExpressions"], place]},
        {"matchFields": TERMS[1]["matchFields"], "matchExpressions": [place]},
        {},
    ]


@pytest.mark.parametrize(
    "worker",
    [
        {},
        node_affinity(*TERMS),
        {"affinity": {"podAntiAffinity": {REQUIRED: [{"topologyKey": "kubernetes.io/hostname"}]}}},
        {
            "affinity": {
                "nodeAffinity": {
                    "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "preference": TERMS[0]}]
                }
            }
        },
    ],
)
def test_what_was_placed_can_be_taken_back(worker: dict[str, Any]) -> None:
    one = template(**worker)
    assert desired.unplaced(desired.placed(one, ZONE), ZONE) == one


def test_the_deployment_of_a_place_selects_its_own_pods_only() -> None:
    of = pool()
    body = desired.deployment(of, name="web-1-2-x", template=desired.placed(template(), ZONE), replicas=1)
    assert body["spec"]["selector"]["matchLabels"][desired.PLACE_LABEL] == desired.place_key(ZONE)
    assert body["metadata"]["labels"][desired.PLACE_LABEL] == desired.place_key(ZONE)


def test_places_are_no_part_of_version_and_revision() -> None:
    placed = pool(placement={"primary": {"nodeSelector": ZONE}})
    assert desired.hashes(placed) == desired.hashes(pool())
