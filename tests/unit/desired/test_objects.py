"""Revisions, Deployments and budgets: names, owners, and that running workers keep the template they were made of."""

from typing import Any

import pytest

from tests.support.pools import pool, pool_body
from tests.support.rich_pool import rich_pool
from workerpool_operator.api import parse
from workerpool_operator.domain import desired

POOL = pool("p" * 47)
REVISION = desired.revision_for(POOL)
TEMPLATE = desired.stored_template(REVISION.body)
OWNER = {
    "apiVersion": "workerpool.dev/v1alpha1",
    "kind": "WorkerPool",
    "name": POOL.name,
    "uid": POOL.uid,
    "controller": True,
    "blockOwnerDeletion": True,
}


def deployment(replicas: int = 3) -> dict[str, Any]:
    return desired.deployment(POOL, name=REVISION.name, template=TEMPLATE, replicas=replicas)


def test_the_longest_name_of_a_pool_makes_a_label_of_63_characters() -> None:
    assert len(REVISION.name) == 63
    assert REVISION.name == f"{POOL.name}-{REVISION.version}-{REVISION.revision}"


def test_a_longer_name_of_a_pool_cannot_be_rendered() -> None:
    """The API server refuses it; it may have been stored under older rules."""
    with pytest.raises(desired.RenderError, match="has 48 characters: give the pool a name of at most 47"):
        desired.revision_for(pool("p" * 48))


def test_a_revision_holds_the_template_and_both_hashes() -> None:
    found = desired.hashes(POOL)
    data = REVISION.body["data"]
    assert (data["version"], data["revision"], data["scheme"]) == (found.version, found.revision, 1)
    assert data["template"]["spec"]["containers"][0]["image"] == "thumbs:1"


def test_a_revision_belongs_to_its_pool() -> None:
    assert REVISION.body["metadata"] == {
        "name": REVISION.name,
        "namespace": "media",
        "labels": {
            "app.kubernetes.io/managed-by": "workerpool-operator",
            "app.kubernetes.io/component": "worker",
            "workerpool.dev/pool": POOL.name,
            "workerpool.dev/version": REVISION.version,
            "workerpool.dev/revision": REVISION.revision,
        },
        "ownerReferences": [OWNER],
    }


@pytest.mark.parametrize("data", [None, {}, {"template": "x"}, {"template": {}}])
def test_a_revision_that_holds_no_template_is_named(data: Any) -> None:
    with pytest.raises(desired.RenderError, match="thumbs-1 holds no pod template: delete it"):
        desired.stored_template({"metadata": {"name": "thumbs-1"}, "data": data})


def test_a_revision_can_be_stored_again_from_what_runs() -> None:
    running = {"metadata": {"labels": {}}, "spec": {"containers": []}}
    again = REVISION.holding(running)
    assert desired.stored_template(again.body) == running
    assert (again.name, again.body["metadata"]) == (REVISION.name, REVISION.body["metadata"])
    assert desired.stored_template(REVISION.body) == TEMPLATE


def test_a_deployment_is_made_of_the_stored_template() -> None:
    older = {"metadata": TEMPLATE["metadata"], "spec": {"containers": [{"name": "worker", "image": "older"}]}}
    made = desired.deployment(POOL, name=REVISION.name, template=older, replicas=2)
    assert made["spec"]["template"] == older


def test_a_deployment_selects_its_own_version_and_revision() -> None:
    made = deployment()
    selected = made["spec"]["selector"]["matchLabels"]
    assert selected == {
        "workerpool.dev/pool": POOL.name,
        "workerpool.dev/version": REVISION.version,
        "workerpool.dev/revision": REVISION.revision,
    }
    assert selected.items() <= made["spec"]["template"]["metadata"]["labels"].items()
    assert selected.items() <= made["metadata"]["labels"].items()


def test_a_deployment_has_every_owned_field_each_time() -> None:
    made = deployment(replicas=0)
    assert made["metadata"]["ownerReferences"] == [OWNER]
    assert {name: value for name, value in made["spec"].items() if name not in {"template", "selector"}} == {
        "replicas": 0,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "minReadySeconds": 0,
        "revisionHistoryLimit": 1,
        "progressDeadlineSeconds": 600,
    }


@pytest.mark.parametrize("most", [1, 0, "25%"])
def test_the_budget_spans_all_versions(most: int | str) -> None:
    made = desired.disruption_budget(pool(disruption={"maxUnavailable": most}))
    assert made["spec"] == {
        "maxUnavailable": most,
        "selector": {"matchLabels": {"workerpool.dev/pool": "thumbs"}},
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }
    assert made["metadata"]["name"] == "thumbs"


def test_the_selector_of_the_pool_is_the_budgets() -> None:
    assert desired.selector(pool()) == "workerpool.dev/pool=thumbs"


def test_the_same_pool_gives_the_same_objects() -> None:
    again = parse(rich_pool().model_dump(mode="json", by_alias=True))
    assert desired.revision_for(again) == desired.revision_for(rich_pool())


def test_live_settings_are_no_new_revision() -> None:
    slower = parse(pool_body(delivery={"maxAttempts": 9}))
    assert desired.revision_for(slower).name == desired.revision_for(pool()).name


def test_an_hpa_scales_the_pool_and_adds_nothing_to_what_the_operator_decides() -> None:
    body = desired.autoscaler(POOL, exact=True)
    assert body["metadata"]["name"] == POOL.name
    assert body["metadata"]["ownerReferences"] == [OWNER]
    spec = body["spec"]
    assert spec["scaleTargetRef"] == {
        "apiVersion": "workerpool.dev/v1alpha1",
        "kind": "WorkerPool",
        "name": POOL.name,
    }
    [metric] = spec["metrics"]
    assert metric["external"] == {
        "metric": {"name": "workerpool_desired_replicas", "selector": {"matchLabels": {"pool": POOL.name}}},
        "target": {"type": "AverageValue", "averageValue": "1"},
    }
    for way in ("scaleUp", "scaleDown"):
        rules = spec["behavior"][way]
        assert (rules["stabilizationWindowSeconds"], rules["selectPolicy"], rules["tolerance"]) == (0, "Max", "0")
        assert rules["policies"] == [{"type": "Pods", "value": spec["maxReplicas"], "periodSeconds": 15}]


def test_an_hpa_of_an_old_kubernetes_has_no_field_that_it_would_drop() -> None:
    behavior = desired.autoscaler(POOL, exact=False)["spec"]["behavior"]
    assert not [way for way in behavior.values() if "tolerance" in way]


@pytest.mark.parametrize(("minimum", "least"), [(0, 1), (1, 1), (4, 4)])
def test_an_hpa_leaves_zero_to_the_operator(minimum: int, least: int) -> None:
    body = pool_body(scaling={"minReplicas": minimum, "maxReplicas": 9})
    spec = desired.autoscaler(parse(body), exact=True)["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (least, 9)


@pytest.mark.parametrize(("granted", "least"), [(None, 4), (9, 4), (2, 2), (0, 1)])
def test_an_hpa_asks_for_no_more_than_the_pool_s_budget_grants(granted: int | None, least: int) -> None:
    """One that wants its minReplicas for ever would be taken for one that reads something else."""
    body = pool_body(scaling={"minReplicas": 4, "maxReplicas": 9})
    assert desired.autoscaler(parse(body), exact=True, granted=granted)["spec"]["minReplicas"] == least
