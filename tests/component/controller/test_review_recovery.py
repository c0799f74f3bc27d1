"""A Deployment that the operator no longer recognises, on a real API server: its size stays as it is."""

from typing import Any

import pytest

from tests.support.pools import pool_body
from workerpool_operator.api import WorkerPool, parse
from workerpool_operator.controller.execute import Executor
from workerpool_operator.controller.store import Store
from workerpool_operator.domain import desired
from workerpool_operator.domain.desired import POOL_LABEL
from workerpool_operator.domain.objects import Apply
from workerpool_operator.kube import Kube, errors, kinds, ref_of

pytestmark = [pytest.mark.component, pytest.mark.apiserver, pytest.mark.usefixtures("crds")]


async def stored_pool(kube: Kube, namespace: str) -> WorkerPool:
    body = pool_body("thumbs", namespace)
    del body["metadata"]["uid"]
    return parse(await kube.create(body))


def deployment(pool: WorkerPool, *, replicas: int) -> dict[str, Any]:
    revision = desired.revision_for(pool)
    template = desired.stored_template(revision.body)
    return desired.deployment(pool, name=revision.name, template=template, replicas=replicas)


async def test_a_deployment_that_is_missing_is_made(kube: Kube, namespace: str) -> None:
    body = deployment(await stored_pool(kube, namespace), replicas=2)
    executor = Executor(kube=kube, store=Store())
    assert await executor.apply_all((Apply(body=body, only_new=True),)) == []
    assert (await kube.get(ref_of(body)))["spec"]["replicas"] == 2


@pytest.mark.parametrize(
    "harm",
    [
        {"labels": {POOL_LABEL: None}},
        {"labels": {desired.MANAGED_BY_LABEL: "somebody"}},
        {"ownerReferences": []},
    ],
    ids=["without its pool's label", "under another manager's label", "without its owner"],
)
async def test_a_deployment_that_lost_what_it_is_known_by_keeps_its_size(
    kube: Kube, namespace: str, harm: dict[str, Any]
) -> None:
    """Five workers run, the plan that does not see them asks for one: none is taken, and the next plan sees five."""
    pool = await stored_pool(kube, namespace)
    ref = ref_of(deployment(pool, replicas=5))
    await kube.apply(deployment(pool, replicas=5))
    await kube.merge_patch(ref, {"metadata": harm})
    store = Store()
    failures = await Executor(kube=kube, store=store).apply_all(
        (Apply(body=deployment(pool, replicas=1), only_new=True),)
    )
    assert [(failure.overtaken, failure.blind) for failure in failures] == [(True, True)]
    live = await kube.get(ref)
    assert live["spec"]["replicas"] == 5
    assert live["metadata"]["labels"] == deployment(pool, replicas=5)["metadata"]["labels"]
    assert [owner["uid"] for owner in live["metadata"]["ownerReferences"]] == [pool.uid]
    assert ref.name in store.children(kinds.DEPLOYMENT, namespace, pool.name)


async def test_a_deployment_of_somebody_else_is_left_alone(kube: Kube, namespace: str) -> None:
    """It may be that of a former pool of this name: Kubernetes collects it, and then there is room."""
    pool = await stored_pool(kube, namespace)
    body = deployment(pool, replicas=5)
    # A ConfigMap as the owner: an owner that does not exist would have the object collected at once.
    config = await kube.create(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "other", "namespace": namespace}}
    )
    other = {"apiVersion": "v1", "kind": "ConfigMap", "name": "other", "uid": config["metadata"]["uid"]}
    body["metadata"]["ownerReferences"] = [other | {"controller": True}]
    await kube.apply(body)
    (failure,) = await Executor(kube=kube, store=Store()).apply_all(
        (Apply(body=deployment(pool, replicas=1), only_new=True),)
    )
    assert isinstance(failure.error, errors.AlreadyExists)
    assert (failure.overtaken, failure.blind) == (False, False)
    assert (await kube.get(ref_of(body)))["spec"]["replicas"] == 5
