"""`wpool adopt` at a real API server with the real Deployment controller; the operator is played."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest
import yaml

from e2e.cluster.controlplane import ControlPlane
from tests.component.cli.running import wpool
from tests.support.waiting import until
from tests.unit.cli.adopt.deployments import deployment
from workerpool_operator.cli.adopt import handover
from workerpool_operator.cli.adopt.queues import EXAMPLE
from workerpool_operator.cli.adopt.translate import ADOPTED_FROM
from workerpool_operator.domain.scaling.overrides import FORCE_ACTIVE
from workerpool_operator.kube import Kube, ObjectRef, errors, kinds

pytestmark = [pytest.mark.component, pytest.mark.apiserver, pytest.mark.usefixtures("crds", "operator")]
WORDS = ("adopt", "deployment/thumbs", "--queue", EXAMPLE)


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is played answers at once."""
    monkeypatch.setattr(handover, "POLL_SECONDS", 0.05)


@dataclass
class Played:
    """The operator's part: one worker of the pool after the other becomes ready. The Deployment's pods never run."""

    kube: Kube
    namespace: str
    most_ready: int = 100
    sizes: list[tuple[int, int]] = field(default_factory=list)
    """(pods of the Deployment, ready workers of the pool), whenever one of them has changed."""

    @property
    def pool(self) -> ObjectRef:
        return ObjectRef(kinds.WORKER_POOL, self.namespace, "thumbs")

    @property
    def deployment(self) -> ObjectRef:
        return ObjectRef(kinds.DEPLOYMENT, self.namespace, "thumbs")

    async def step(self) -> None:
        old = await self.kube.get(self.deployment)
        size, ready = old["spec"]["replicas"], 0
        with suppress(errors.NotFound):
            pool = await self.kube.get(self.pool)
            forced = int(pool["metadata"].get("annotations", {}).get(FORCE_ACTIVE, 0))
            before = (pool.get("status") or {}).get("readyReplicas", 0)
            ready = min(before + 1, forced, self.most_ready) if forced else before
            told = {"readyReplicas": ready, "observedGeneration": pool["metadata"]["generation"]}
            await self.kube.merge_patch(self.pool, {"status": told}, subresource="status")
        if self.sizes[-1:] != [(size, ready)]:
            self.sizes.append((size, ready))

    async def run(self) -> None:
        while True:
            with suppress(errors.Conflict):
                await self.step()
            await asyncio.sleep(0.02)


@asynccontextmanager
async def playing(kube: Kube, namespace: str, *, most_ready: int = 100) -> AsyncIterator[Played]:
    """A Deployment of three pods in a cluster that is alive."""
    await kube.create(deployment(namespace=namespace))
    played = Played(kube, namespace, most_ready)
    task = asyncio.create_task(played.run())
    try:
        yield played
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_a_pool_is_written_and_nothing_is_changed(plane: ControlPlane, kube: Kube, namespace: str) -> None:
    """What is printed is what the API server would take: it does, unchanged."""
    await kube.create(deployment(namespace=namespace))
    shown = await wpool(plane, *WORDS, "-n", namespace)
    assert shown.returncode == 0, shown.stderr
    body = yaml.safe_load(shown.stdout)
    assert (body["kind"], body["metadata"]["namespace"]) == ("WorkerPool", namespace)
    with pytest.raises(errors.NotFound):
        await kube.get(ObjectRef(kinds.WORKER_POOL, namespace, "thumbs"))
    made = await kube.create(body)
    assert made["spec"]["worker"]["image"] == "registry.example/thumbs:1.4.2"


async def test_the_pool_grows_before_the_deployment_shrinks(plane: ControlPlane, kube: Kube, namespace: str) -> None:
    """There are never fewer than the three workers of before, and at the end the pool finds its own size."""
    async with playing(kube, namespace) as played:
        shown = await wpool(plane, *WORDS, "-n", namespace, "--apply", "--yes", "--timeout", "60")
        assert shown.returncode == 0, shown.stderr
        assert f"kubectl delete deployment thumbs -n {namespace} when" in shown.stdout
        await until(lambda: played.sizes[-1] == (0, 3), what="the end, seen by the players")
    assert all(pods + ready >= 3 for pods, ready in played.sizes), played.sizes
    assert [pods for pods, ready in played.sizes if ready < 3] == [3] * len(
        [1 for _, ready in played.sizes if ready < 3]
    )
    steps = [f"Deployment thumbs: {size} -> {size - 1}" for size in (3, 2, 1)]
    assert [line for line in shown.stdout.splitlines() if " -> " in line] == steps, "each, which players may not see"
    annotations = (await kube.get(played.pool))["metadata"]["annotations"]
    assert (annotations[ADOPTED_FROM], FORCE_ACTIVE in annotations) == ("thumbs", False)


async def test_a_pool_whose_workers_do_not_come_up_costs_no_pod(
    plane: ControlPlane, kube: Kube, namespace: str
) -> None:
    """A bad image, a full cluster: the Deployment stays, and run again once it is mended the handover goes on."""
    async with playing(kube, namespace, most_ready=2) as played:
        late = await wpool(plane, *WORDS, "-n", namespace, "--apply", "--yes", "--timeout", "10")
        assert late.returncode == 4
        assert "of the Deployment nothing was taken away" in late.stderr
        assert (await kube.get(played.deployment))["spec"]["replicas"] == 3
        played.most_ready = 3
        again = await wpool(plane, *WORDS, "-n", namespace, "--apply", "--yes", "--timeout", "60")
        assert again.returncode == 0, again.stderr
        assert "gone on with" in again.stdout
        assert (await kube.get(played.deployment))["spec"]["replicas"] == 0


async def test_a_handover_that_was_cut_off_halfway_keeps_its_number_of_workers(
    plane: ControlPlane, kube: Kube, namespace: str
) -> None:
    """One pod is left: the pool has to have three workers all the same, as it says itself."""
    async with playing(kube, namespace) as played:
        shown = await wpool(plane, *WORDS, "-n", namespace)
        body = yaml.safe_load(shown.stdout)
        body["metadata"]["annotations"][FORCE_ACTIVE] = "3"
        await kube.create(body)
        await kube.merge_patch(played.deployment, {"spec": {"replicas": 1}})
        done = await wpool(plane, *WORDS, "-n", namespace, "--apply", "--yes", "--timeout", "60")
        assert done.returncode == 0, done.stderr
        assert "3 workers are ready" in done.stdout


async def test_somebody_who_sets_the_size_back_is_not_fought(plane: ControlPlane, kube: Kube, namespace: str) -> None:
    """Whoever applies it from Git, say: it is told, and nothing is lost."""
    async with playing(kube, namespace) as played:

        async def undo() -> None:
            while True:
                size = (await kube.get(played.deployment))["spec"]["replicas"]
                if size < 3:
                    await kube.merge_patch(played.deployment, {"spec": {"replicas": 3}})
                await asyncio.sleep(0.005)

        task = asyncio.create_task(undo())
        shown = await wpool(plane, *WORDS, "-n", namespace, "--apply", "--yes", "--timeout", "60")
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert shown.returncode == 3
        assert "somebody else has set the Deployment to 3 pods again" in shown.stderr


async def test_an_autoscaler_s_bounds_are_kept_and_it_has_to_go_first(
    plane: ControlPlane, kube: Kube, namespace: str
) -> None:
    """It would start again what is taken down."""
    await kube.create(deployment(namespace=namespace))
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "thumbs"}
    scaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "thumbs-hpa", "namespace": namespace},
        "spec": {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 9},
    }
    await kube.create(scaler)
    shown = await wpool(plane, *WORDS, "-n", namespace)
    assert yaml.safe_load(shown.stdout)["spec"]["scaling"] == {"minReplicas": 2, "maxReplicas": 9}
    refused = await wpool(plane, *WORDS, "-n", namespace, "--apply", "--yes")
    assert refused.returncode == 1
    assert "HorizontalPodAutoscaler thumbs-hpa scales the Deployment" in refused.stderr


async def test_an_object_of_the_name_that_the_pool_s_own_would_have_is_in_the_way(
    plane: ControlPlane, kube: Kube, namespace: str
) -> None:
    """A Deployment's PodDisruptionBudget often has its name; the pool's own has another selector."""
    await kube.create(deployment(namespace=namespace))
    theirs = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "thumbs", "namespace": namespace},
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "thumbs"}}},
    }
    await kube.create(theirs)
    printed = await wpool(plane, *WORDS, "-n", namespace)
    assert printed.returncode == 0, printed.stderr
    refused = await wpool(plane, *WORDS, "-n", namespace, "--apply", "--yes")
    assert refused.returncode == 1
    assert "there is a PodDisruptionBudget thumbs" in refused.stderr
    other = await wpool(plane, *WORDS, "--name", "thumbnails", "-n", namespace, "--apply", "--dry-run")
    assert other.returncode == 0, other.stderr
    labels = {"app.kubernetes.io/managed-by": "workerpool-operator", "workerpool.dev/pool": "thumbs"}
    ref = ObjectRef(kinds.POD_DISRUPTION_BUDGET, namespace, "thumbs")
    await kube.merge_patch(ref, {"metadata": {"labels": labels}})
    own = await wpool(plane, *WORDS, "-n", namespace, "--apply", "--dry-run")
    assert own.returncode == 0, "a handover that is gone on with finds the pool's own"


async def test_a_dry_run_has_the_server_check_it_and_writes_nothing(
    plane: ControlPlane, kube: Kube, namespace: str
) -> None:
    """Also rules that only the server knows: here of a mount that is the operator's."""
    await kube.create(deployment(namespace=namespace))
    good = await wpool(plane, *WORDS, "-n", namespace, "--apply", "--dry-run")
    assert good.returncode == 0, good.stderr
    assert "nothing was written" in good.stdout
    with pytest.raises(errors.NotFound):
        await kube.get(ObjectRef(kinds.WORKER_POOL, namespace, "thumbs"))
    bad = {"volumeMounts": [{"name": "models", "mountPath": "/credentials/x"}]}
    await kube.create(
        {**deployment(namespace=namespace, container=bad), "metadata": {"name": "b", "namespace": namespace}}
    )
    refused = await wpool(plane, "adopt", "deployment/b", *WORDS[2:], "-n", namespace, "--apply", "--dry-run")
    assert refused.returncode == 3
    assert "mounted by the operator" in refused.stderr


async def test_what_cannot_be_adopted_is_refused_and_nothing_is_written(
    plane: ControlPlane, kube: Kube, namespace: str
) -> None:
    """What a pool cannot take over, another pool of that name, a Deployment of a controller, one that is not there."""
    await kube.create(deployment(namespace=namespace, container={"workingDir": "/app"}))
    lost = await wpool(plane, *WORDS, "-n", namespace, "--apply", "--yes")
    assert (lost.returncode, "cannot take over: workingDir" in lost.stderr) == (1, True)
    unasked = await wpool(plane, *WORDS, "-n", namespace, "--apply", "--leave-out")
    assert (unasked.returncode, "say --yes" in unasked.stderr) == (2, True)
    written = yaml.safe_load((await wpool(plane, *WORDS, "-n", namespace, "--leave-out")).stdout)
    del written["metadata"]["annotations"]
    await kube.create(written)
    taken = await wpool(plane, *WORDS, "-n", namespace, "--apply", "--leave-out", "--yes", "--timeout", "60")
    assert (taken.returncode, "there is a WorkerPool thumbs already" in taken.stderr) == (3, True)
    absent = await wpool(plane, "adopt", "deployment/none", *WORDS[2:], "-n", namespace)
    assert absent.returncode == 3
    assert (await kube.get(ObjectRef(kinds.DEPLOYMENT, namespace, "thumbs")))["spec"]["replicas"] == 3
    owned = deployment(namespace=namespace)
    owner = {"apiVersion": "example.com/v1", "kind": "App", "name": "big", "uid": "1", "controller": True}
    owned["metadata"] = {"name": "owned", "namespace": namespace, "ownerReferences": [owner]}
    await kube.create(owned)
    refused = await wpool(plane, "adopt", "deployment/owned", *WORDS[2:], "-n", namespace)
    assert (refused.returncode, "belongs to App big" in refused.stderr) == (3, True)
