"""Three pools of one budget on a real API server, with a real operator that can be killed.

Real are the API server, the controller manager and the operator's process. Played are the collector, the kubelet, and
workers that finish their jobs: each pod has a finalizer, so one that is deleted is there until the test lets it go.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from e2e.cluster.controlplane import ControlPlane
from e2e.faults.collector import Script, ScriptedCollector, collector_token
from e2e.faults.kubelet import FakeKubelet, is_ready
from e2e.faults.process import NAMESPACE, OperatorProcess, release_lease
from e2e.faults.watching import follow
from tests.support.apiserver import PATIENCE_SECONDS
from tests.support.pools import pool_body
from tests.support.waiting import until
from workerpool_operator.api import API_VERSION, BUDGET_KIND
from workerpool_operator.domain.desired import COMPONENT_LABEL, POOL_LABEL
from workerpool_operator.kube import ClusterAccess, Kube, ObjectRef, errors, kinds

Json = dict[str, Any]
POOLS = ("first", "second", "third")
AT_WORK = "tests.workerpool.dev/at-work"


@dataclass(kw_only=True)
class History:
    """Every state of pods and Deployments, to be put in the order in which the API server stored them."""

    namespace: str
    events: list[tuple[int, str, Json]] = field(default_factory=list)

    def note(self, event: str, body: Json) -> None:
        metadata = body["metadata"]
        if metadata["namespace"] == self.namespace and metadata.get("labels", {}).get(COMPONENT_LABEL) == "worker":
            self.events.append((int(metadata["resourceVersion"]), event, body))

    def totals(self) -> list[int]:
        """After each change: workers that are asked for or there, with those that are deleted and at work yet."""
        found: list[int] = []
        there: dict[str, Json] = {}
        for _, event, body in sorted(self.events, key=lambda one: one[0]):
            uid = body["metadata"]["uid"]
            if event == "DELETED":
                there.pop(uid, None)
            else:
                there[uid] = body
            found.append(sum(_held(pool, there.values()) for pool in POOLS))
        return found


def _held(pool: str, objects: Any) -> int:
    own = [one for one in objects if one["metadata"]["labels"][POOL_LABEL] == pool]
    pods = [one for one in own if one["kind"] == "Pod"]
    leaving = [one for one in pods if "deletionTimestamp" in one["metadata"]]
    asked: int = sum(one["spec"]["replicas"] for one in own if one["kind"] == "Deployment")
    return max(asked, len(pods) - len(leaving)) + len(leaving)


@dataclass(kw_only=True)
class BudgetStage:
    """What a test acts on."""

    kube: Kube
    namespace: str
    budget: str
    collector: ScriptedCollector
    operator: OperatorProcess
    history: History
    pods: dict[str, Json] = field(default_factory=dict)
    chores: set[asyncio.Task[None]] = field(default_factory=set)
    """What is being done to pods."""
    drains: bool = True
    """Whether a pod that is deleted goes at once; else it is at work until `finish`."""

    async def create(self, most: int, **scaling: Any) -> None:
        """Make the budget and its pools; keyword arguments are the pools' `spec.scaling`, by name."""
        await self.make_budget(most)
        for name in POOLS:
            await self.kube.create(_pool(name, self.namespace, budget=self.budget, **scaling.get(name, {})))

    async def make_budget(self, most: int, **spec: Any) -> None:
        """Make the budget, which another may have had the name of."""
        body = {"metadata": {"name": self.budget}, "spec": {"maxReplicas": most, **spec}}
        await self.kube.create({"apiVersion": API_VERSION, "kind": BUDGET_KIND, **body})

    def jobs(self, **counts: int) -> None:
        """From now on so many jobs wait for each pool, which wants a worker for each."""
        for name in POOLS:
            self.collector.say(name, Script(queue="main", waiting=counts.get(name, 0)))

    async def restart(self) -> None:
        """Kill the operator, and start the next, which leads at once."""
        await asyncio.to_thread(self.operator.kill)
        await release_lease(self.kube)
        await asyncio.to_thread(self.operator.start)

    async def finish(self) -> None:
        """From now on who is deleted goes at once; who was deleted before goes now."""
        self.drains = True
        for pod in [one for one in self.pods.values() if "deletionTimestamp" in one["metadata"]]:
            await self.let_go(pod)

    def spawn(self, chore: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(chore)
        self.chores.add(task)
        task.add_done_callback(self.chores.discard)

    async def let_go(self, pod: Json) -> None:
        ref = ObjectRef(kinds.POD, self.namespace, pod["metadata"]["name"])
        with suppress(errors.NotFound):
            await self.kube.merge_patch(ref, {"metadata": {"finalizers": None}})

    def there(self) -> dict[str, int]:
        """Pool -> its pods that are ready and not stopping."""
        found = dict.fromkeys(POOLS, 0)
        for pod in self.pods.values():
            if is_ready(pod) and "deletionTimestamp" not in pod["metadata"]:
                found[pod["metadata"]["labels"][POOL_LABEL]] += 1
        return found

    def stopping(self) -> int:
        """Pods that are deleted and at work yet."""
        return sum(1 for pod in self.pods.values() if "deletionTimestamp" in pod["metadata"])

    async def wait_for(self, *, seconds: float = 60.0, **counts: int) -> None:
        """Wait until the pools have so many workers that stay."""

        def reached() -> bool:
            return self.there() == dict.fromkeys(POOLS, 0) | counts

        await until(reached, seconds=seconds, what=f"{counts}")

    async def ledger(self) -> Json:
        """The budget's status."""
        found: Json = (await self.kube.get(ObjectRef(kinds.WORKER_POOL_BUDGET, "", self.budget))).get("status", {})
        return found

    async def condition(self, pool: str) -> tuple[str, str]:
        """Status and reason of a pool's condition ScalingActive."""
        body = await self.kube.get(ObjectRef(kinds.WORKER_POOL, self.namespace, pool))
        found = body.get("status", {}).get("conditions", [])
        return next(((one["status"], one["reason"]) for one in found if one["type"] == "ScalingActive"), ("", ""))

    async def scaling(self, pool: str) -> Json:
        """A pool's `status.scaling`."""
        body = await self.kube.get(ObjectRef(kinds.WORKER_POOL, self.namespace, pool))
        found: Json = body.get("status", {}).get("scaling", {})
        return found


@asynccontextmanager
async def budget_stage(plane: ControlPlane, *, home: Path, namespace: str) -> AsyncIterator[BudgetStage]:
    """Run an operator on this control plane, which serves the kinds, and give an empty namespace to play in."""
    operator = OperatorProcess.prepare(home, tls=home / "tls", settings={"RESYNC_SECONDS": "30"})
    plane.write_kubeconfig(operator.kubeconfig, user="operator", groups=["system:masters"])
    access = await ClusterAccess.find(plane.kubeconfig)
    async with Kube(access, timeout_seconds=PATIENCE_SECONDS) as kube, access.watch_session() as session:
        with suppress(errors.AlreadyExists):
            await kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        stage = BudgetStage(
            kube=kube,
            namespace=namespace,
            budget=f"budget-{namespace}",
            collector=ScriptedCollector(
                endpoint=operator.endpoint,
                token=lambda: collector_token(session, access.server, namespace),
                pods=lambda pool: _ready(stage, pool),
            ),
            operator=operator,
            history=History(namespace=namespace),
        )
        playing = {asyncio.create_task(work) for work in (stage.collector.run(), *_following(stage, access))}
        operator.start()
        try:
            yield stage
            assert not any(task.done() for task in playing), "the test has lost sight of something"
        finally:
            for task in playing:
                task.cancel()
            await asyncio.wait(playing)
            await asyncio.gather(*stage.chores)
            await asyncio.to_thread(operator.kill)
            for pool in await kube.list(kinds.WORKER_POOL, namespace=namespace).all():
                await kube.delete(kinds.ref_of(pool))
            for pod in stage.pods.values():
                await stage.let_go(pod)
            await release_lease(kube)


def _following(stage: BudgetStage, access: ClusterAccess) -> tuple[Coroutine[Any, Any, None], ...]:
    kubelet = FakeKubelet(stage.kube)

    def on_pod(event: str, pod: Json) -> None:
        stage.history.note(event, pod)
        metadata = pod["metadata"]
        if metadata["namespace"] != stage.namespace or metadata.get("labels", {}).get(COMPONENT_LABEL) != "worker":
            return
        if event == "DELETED":
            stage.pods.pop(metadata["uid"], None)
            return
        stage.pods[metadata["uid"]] = pod
        if "deletionTimestamp" in metadata:
            if stage.drains:
                stage.spawn(stage.let_go(pod))
        elif AT_WORK not in metadata.get("finalizers", ()):
            stage.spawn(_set_to_work(stage, pod))
        else:
            kubelet.observe(event, pod)

    return (
        follow(access, kinds.POD, on_event=on_pod),
        follow(access, kinds.DEPLOYMENT, on_event=stage.history.note),
    )


async def _set_to_work(stage: BudgetStage, pod: Json) -> None:
    ref = ObjectRef(kinds.POD, stage.namespace, pod["metadata"]["name"])
    with suppress(errors.NotFound, errors.Conflict, errors.Invalid):
        await stage.kube.merge_patch(ref, {"metadata": {"finalizers": [AT_WORK]}})


def _ready(stage: BudgetStage, pool: str) -> dict[str, str]:
    return {
        uid: pod["metadata"]["name"]
        for uid, pod in stage.pods.items()
        if pod["metadata"]["labels"][POOL_LABEL] == pool and is_ready(pod)
    }


def _pool(name: str, namespace: str, *, budget: str, priority: int = 0, **scaling: Any) -> Json:
    body = pool_body(
        name,
        namespace,
        worker={"maxWorkers": 1},
        scaling={
            "mode": "direct",
            "maxReplicas": 20,
            "targets": {"queueDepthPerReplica": 1},
            "cooldownSeconds": 0,
            "scaleDown": {"stabilizationSeconds": 0},
            "budget": {"name": budget, "priority": priority},
        }
        | scaling,
        alerts={"enabled": False},
    )
    del body["metadata"]["uid"]
    return body
