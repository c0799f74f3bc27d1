"""Workers run as the service account that their pool names, if its namespace has given it away: a real API server."""

from typing import Any

import pytest

from tests.support.attacks import attack
from tests.support.pools import pool_body
from tests.support.reconciler import pool_reconciler
from workerpool_operator.controller import accounts
from workerpool_operator.controller.keys import PoolKey
from workerpool_operator.controller.store import Store
from workerpool_operator.domain.desired import POOL_LABEL, USABLE_LABEL
from workerpool_operator.kube import Kube, ObjectRef, kinds
from workerpool_operator.serve.state import StreamState

pytestmark = [pytest.mark.component, pytest.mark.apiserver, pytest.mark.usefixtures("crds")]

GUARD = "the operator uses accounts with the label workerpool.dev/usable only, of the pool's namespace"


class Scene:
    """A pool of one worker that names the account `uploader`."""

    def __init__(self, kube: Kube, namespace: str) -> None:
        self.kube, self.namespace = kube, namespace
        self.store = Store()
        streams = StreamState(on_change=lambda *_: None)
        self.reconciler = pool_reconciler(kube=kube, store=self.store, streams=streams)
        self.reconciler._accounts = accounts.Accounts(kube=kube, clock=lambda: self.now)
        self.now = 0.0
        self.ref = ObjectRef(kinds.WORKER_POOL, namespace, "thumbs")

    async def begin(self, **worker: Any) -> None:
        scaling = {"mode": "direct", "minReplicas": 1}
        body = pool_body("thumbs", self.namespace, worker=worker, scaling=scaling, alerts={"enabled": False})
        del body["metadata"]["uid"]
        await self.kube.create(body)

    async def account(self, **labels: str) -> ObjectRef:
        metadata = {"name": "uploader", "namespace": self.namespace, "labels": labels}
        await self.kube.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
        return ObjectRef(kinds.SERVICE_ACCOUNT, self.namespace, "uploader")

    async def reconciled(self) -> tuple[str, str]:
        """Reason and message of the condition Stalled, after a look that remembers nothing of the account."""
        self.now += accounts.REMEMBER_SECONDS
        self.store.put(kinds.WORKER_POOL, await self.kube.get(self.ref))
        await self.reconciler.reconcile(PoolKey(self.namespace, "thumbs"))
        conditions: list[dict[str, Any]] = (await self.kube.get(self.ref))["status"]["conditions"]
        found = next(one for one in conditions if one["type"] == "Stalled")
        return found["reason"], found["message"]

    async def pods(self) -> list[dict[str, Any]]:
        """Of the Deployments of workers."""
        made = self.kube.list(kinds.DEPLOYMENT, namespace=self.namespace, label_selector=POOL_LABEL)
        return [one["spec"]["template"]["spec"] for one in await made.all()]


@pytest.fixture
def scene(kube: Kube, namespace: str) -> Scene:
    return Scene(kube, namespace)


async def test_workers_run_as_the_account_and_get_no_token_of_it(scene: Scene) -> None:
    await scene.account(**{USABLE_LABEL: "true"})
    await scene.begin(serviceAccountName="uploader")
    assert (await scene.reconciled())[0] == "NotStalled"
    [pod] = await scene.pods()
    assert pod["serviceAccountName"] == "uploader"
    assert pod["automountServiceAccountToken"] is False


@pytest.mark.parametrize(
    "labels", [None, {}, {USABLE_LABEL: "false"}, {USABLE_LABEL: ""}], ids=["missing", "unlabelled", "false", "empty"]
)
@attack("the service account of somebody else, that pools were not given", stopped_by=GUARD)
async def test_an_account_that_was_not_given_away_is_not_used(scene: Scene, labels: dict[str, str] | None) -> None:
    """Nothing is made, the pool says what to do, and does it as soon as the label is there."""
    if labels is not None:
        await scene.account(**labels)
    await scene.begin(serviceAccountName="uploader")
    reason, message = await scene.reconciled()
    assert (reason, await scene.pods()) == ("RenderError", [])
    assert 'give it the label workerpool.dev/usable: "true"' in message
    await scene.account(**{USABLE_LABEL: "true"})
    assert (await scene.reconciled())[0] == "NotStalled"
    assert [pod["serviceAccountName"] for pod in await scene.pods()] == ["uploader"]


@attack("an account of the same name in another namespace, that was given away there", stopped_by=GUARD)
async def test_the_label_of_another_namespaces_account_says_nothing(scene: Scene, kube: Kube) -> None:
    metadata = {"name": "uploader", "namespace": "default", "labels": {USABLE_LABEL: "true"}}
    await kube.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
    await scene.begin(serviceAccountName="uploader")
    assert (await scene.reconciled())[0] == "RenderError"
    assert await scene.pods() == []


async def test_a_label_that_is_taken_away_makes_no_more_and_stops_nobody(scene: Scene) -> None:
    """What runs was allowed when it was made: its end is its owner's business."""
    await scene.account(**{USABLE_LABEL: "true"})
    await scene.begin(serviceAccountName="uploader")
    await scene.reconciled()
    await scene.account(**{USABLE_LABEL: "false"})
    await scene.kube.merge_patch(scene.ref, {"spec": {"worker": {"image": "thumbs:2"}}})
    assert (await scene.reconciled())[0] == "RenderError"
    assert [pod["containers"][0]["image"] for pod in await scene.pods()] == ["thumbs:1"]


async def test_without_a_name_nobody_is_asked(scene: Scene) -> None:
    await scene.begin()
    assert (await scene.reconciled())[0] == "NotStalled"
    assert ["serviceAccountName" in pod for pod in await scene.pods()] == [False]
