"""An object of a person that has the name which the pool's own would have, on a real API server."""

from typing import Any

import pytest

from tests.support.pools import pool_body
from tests.support.reconciler import pool_reconciler
from workerpool_operator.controller.keys import PoolKey
from workerpool_operator.controller.store import Store
from workerpool_operator.domain.desired import POOL_LABEL
from workerpool_operator.kube import Kube, ObjectRef, kinds
from workerpool_operator.serve.state import StreamState

pytestmark = [pytest.mark.component, pytest.mark.apiserver, pytest.mark.usefixtures("crds")]


async def test_a_persons_disruption_budget_is_left_alone_and_told_of_until_it_is_gone(
    kube: Kube, namespace: str
) -> None:
    """It may be what protects the Deployment that the pool takes over from: its selector is not to become another."""
    pool, budget = (ObjectRef(kind, namespace, "thumbs") for kind in (kinds.WORKER_POOL, kinds.POD_DISRUPTION_BUDGET))
    spec = {"minAvailable": 2, "selector": {"matchLabels": {"app": "thumbs"}}}
    metadata = {"name": "thumbs", "namespace": namespace}
    await kube.create({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": metadata, "spec": spec})
    body = pool_body("thumbs", namespace, scaling={"mode": "direct", "minReplicas": 1}, alerts={"enabled": False})
    del body["metadata"]["uid"]
    await kube.create(body)
    store = Store()
    streams = StreamState(on_change=lambda *_: None)
    reconciler = pool_reconciler(kube=kube, store=store, streams=streams)

    async def stalled() -> tuple[str, str, str]:
        store.put(kinds.WORKER_POOL, await kube.get(pool))
        await reconciler.reconcile(PoolKey(namespace, "thumbs"))
        conditions: list[dict[str, Any]] = (await kube.get(pool))["status"]["conditions"]
        found = next(one for one in conditions if one["type"] == "Stalled")
        return found["status"], found["reason"], found["message"]

    for _ in range(2):
        status, reason, message = await stalled()
        assert (status, reason) == ("True", "ApplyRefused")
        assert "somebody made one of that name: delete it" in message
    theirs = await kube.get(budget)
    assert (theirs["spec"], theirs["metadata"].get("labels"), "ownerReferences" in theirs["metadata"]) == (
        spec,
        None,
        False,
    )
    deployments = await kube.list(kinds.DEPLOYMENT, namespace=namespace, label_selector=POOL_LABEL).all()
    assert [one["spec"]["replicas"] for one in deployments] == [1], "the rest goes on"
    await kube.delete(budget)
    assert (await stalled())[0] == "False"
    assert (await kube.get(budget))["spec"]["selector"] == {"matchLabels": {POOL_LABEL: "thumbs"}}
