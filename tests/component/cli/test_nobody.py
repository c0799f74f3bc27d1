"""No operator and its resource definitions, as `helm uninstall` leaves a cluster: who writes for one is told."""

import asyncio
from pathlib import Path

import pytest
import pytest_asyncio

from e2e.cluster.controlplane import ControlPlane
from tests.component.cli.running import deployed_operator, held_lease, of_somebody, started, wpool
from tests.support.pools import pool_body
from tests.support.standing import no_lease_is_left
from workerpool_operator.cli import standing
from workerpool_operator.domain.desired import COMPONENT_LABEL, POOL_LABEL, WORKER
from workerpool_operator.kube import Kube, ObjectRef, kinds

pytestmark = [pytest.mark.component, pytest.mark.apiserver, pytest.mark.usefixtures("crds")]

WHY = "no operator is installed in this cluster, only its resource definitions"
DO = "helm install workerpool-operator charts/workerpool-operator --namespace workerpool-system"
HELM = f"{DO} --create-namespace"
SHOWN = [
    ["get"],
    ["get", "thumbs", "-o", "json"],
    ["top"],
    ["describe", "thumbs"],
    ["explain", "thumbs"],
    ["checklist", "thumbs"],
]
WRITTEN = [
    ["stop", "thumbs", "--yes"],
    ["stop", "thumbs", "--wait", "--yes"],
    ["start", "thumbs"],
    ["throttle", "thumbs", "5"],
    ["restart", "thumbs", "--yes"],
    ["migrate", "thumbs", "--to", "primary", "--yes"],
    ["reassign", "thumbs", "--primary", "zone=b", "--yes"],
    ["drain", "thumbs", "--yes"],
]


@pytest_asyncio.fixture(autouse=True)
async def nobody_before(kube: Kube) -> None:
    """Operators of other tests, which end as they like, may have left a Lease that looks held."""
    await no_lease_is_left(kube)


@pytest_asyncio.fixture
async def pool(kube: Kube, namespace: str) -> ObjectRef:
    """One with a place and a rollout, that an operator has seen."""
    place = {"primary": {"nodeSelector": {"zone": "a"}}}
    await kube.create(pool_body(namespace=namespace, placement=place, rollout={"strategy": "Canary"}))
    ref = ObjectRef(kinds.WORKER_POOL, namespace, "thumbs")
    rollout = {"stable": "0a", "wanted": "0b", "canary": "0b", "step": 1}
    status = {"observedGeneration": 1, "replicas": 1, "rollout": rollout}
    await kube.merge_patch(ref, {"status": status}, subresource="status")
    return ref


@pytest.mark.parametrize("words", WRITTEN, ids=" ".join)
async def test_what_is_written_is_not_said_to_be_done(
    plane: ControlPlane, kube: Kube, pool: ObjectRef, words: list[str]
) -> None:
    """It stands for the operator that comes; nobody waits for it."""
    before = (await kube.get(pool))["metadata"]["resourceVersion"]
    shown = await wpool(plane, *words, "-n", pool.namespace)
    assert (shown.returncode, shown.stdout) == (3, "")
    said = " ".join(shown.stderr.split())
    assert f"wpool {words[0]}: it is written, and nothing is done: {WHY}" in said
    assert DO in said
    if words != ["start", "thumbs"]:  # which it is
        assert (await kube.get(pool))["metadata"]["resourceVersion"] != before


async def test_a_dry_run_needs_nobody(plane: ControlPlane, pool: ObjectRef) -> None:
    """It writes nothing."""
    shown = await wpool(plane, "stop", "thumbs", "--dry-run", "-n", pool.namespace)
    assert (shown.returncode, shown.stderr) == (0, "")


async def test_a_rollout_is_not_waited_for(plane: ControlPlane, pool: ObjectRef) -> None:
    """Neither for an answer nor for its end."""
    told = await wpool(plane, "rollout", "abort", "thumbs", "--yes", "-n", pool.namespace)
    assert (told.returncode, told.stdout) == (5, "")
    assert f"wpool rollout abort: written, and nobody answers: {WHY}" in " ".join(told.stderr.split())
    end = await wpool(plane, "rollout", "status", "thumbs", "-n", pool.namespace)
    assert (end.returncode, end.stdout) == (3, "")
    assert f"nothing is decided: {WHY}" in " ".join(end.stderr.split())


async def test_a_node_is_left_as_it_is(plane: ControlPlane, kube: Kube, pool: ObjectRef) -> None:
    """Its order would be taken back in the end."""
    node = ObjectRef(kinds.NODE, "", f"{pool.namespace}-n")
    await kube.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node.name}})
    labels = {POOL_LABEL: "thumbs", COMPONENT_LABEL: WORKER}
    spec = {
        "nodeName": node.name,
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": False,
        "containers": [{"name": "worker", "image": "thumbs:1"}],
    }
    metadata = {"name": "thumbs-a", "namespace": pool.namespace, "labels": labels}
    await kube.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    shown = await wpool(plane, "drain", "--node", node.name, "--yes")
    assert shown.returncode == 3
    assert f"wpool drain: nothing was done: {WHY}" in " ".join(shown.stderr.split())
    assert "unschedulable" not in (await kube.get(node)).get("spec", {})
    await kube.delete(ObjectRef(kinds.POD, pool.namespace, "thumbs-a"))
    await kube.delete(node)


@pytest.mark.parametrize("words", SHOWN, ids=" ".join)
async def test_what_is_shown_is_said_to_be_old(
    plane: ControlPlane, kube: Kube, pool: ObjectRef, words: list[str]
) -> None:
    """In one line beside what is shown, which is the same as ever, and so is the exit code."""
    shown = await wpool(plane, *words, "-n", pool.namespace)
    assert shown.stderr.splitlines() == [f"what the operator has written may be old: {WHY}: {HELM}"]
    async with held_lease(kube, pool.namespace):
        with_one = await wpool(plane, *words, "-n", pool.namespace)
    assert with_one.stderr == ""
    assert (shown.returncode, shown.stdout.split()[:4]) == (with_one.returncode, with_one.stdout.split()[:4])


async def test_an_operator_that_looks_after_other_namespaces_does_nothing_here(
    plane: ControlPlane, kube: Kube, pool: ObjectRef
) -> None:
    """Neither what is written nor what is shown; it runs, and what it looks after is told no such thing."""
    home = f"{pool.namespace}-home"
    await kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": home}})
    why = f"the operator ({home}/workerpool-operator) does not look after namespace {pool.namespace}"
    async with deployed_operator(kube, home, watches="news"):
        written = await wpool(plane, "stop", "thumbs", "--yes", "-n", pool.namespace)
        shown = await wpool(plane, "get", "thumbs", "-n", pool.namespace)
    assert (written.returncode, shown.returncode) == (3, 0)
    assert f"wpool stop: it is written, and nothing is done: {why}" in " ".join(written.stderr.split())
    assert f"--set 'watchNamespaces={{news,{pool.namespace}}}'" in " ".join(written.stderr.split())
    assert f"what the operator has written may be old: {why}" in shown.stderr
    async with deployed_operator(kube, home, watches=f"news,{pool.namespace}"):
        looked_after = await wpool(plane, "start", "thumbs", "-n", pool.namespace)
    assert (looked_after.returncode, looked_after.stderr) == (0, "")


async def test_what_is_followed_is_said_to_be_old(plane: ControlPlane, pool: ObjectRef) -> None:
    """As soon as that is seen."""
    process = await started(plane, "get", "thumbs", "-n", pool.namespace, "--watch")
    assert process.stderr is not None
    try:
        async with asyncio.timeout(60):
            line = (await process.stderr.readline()).decode()
        assert line == f"what the operator has written may be old: {WHY}: {HELM}\n"
    finally:
        process.kill()
        await process.communicate()


async def test_who_is_slow_to_tell_whether_one_runs_holds_nothing_up(
    plane: ControlPlane, pool: ObjectRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was asked for is shown, and nothing is said."""
    asked = False

    async def never(*_: object) -> None:
        nonlocal asked
        asked = True
        await asyncio.Event().wait()

    monkeypatch.setattr(standing, "_found", never)
    monkeypatch.setattr(standing, "_SECONDS", 0.05)
    shown = await wpool(plane, "get", "-n", pool.namespace)
    assert asked
    assert (shown.returncode, shown.stderr, "thumbs" in shown.stdout) == (0, "", True)


async def test_one_of_which_no_replica_is_ready_is_told_too(plane: ControlPlane, kube: Kube, pool: ObjectRef) -> None:
    async with deployed_operator(kube, pool.namespace, runs=False) as name:
        shown = await wpool(plane, "stop", "thumbs", "--yes", "-n", pool.namespace)
    assert shown.returncode == 3
    assert f"no replica of the operator ({name}) is ready" in " ".join(shown.stderr.split())


async def test_one_that_runs_elsewhere_is_known_by_its_lease(plane: ControlPlane, kube: Kube, pool: ObjectRef) -> None:
    """It has no Deployment, such as one that is being developed."""
    async with held_lease(kube, pool.namespace):
        shown = await wpool(plane, "stop", "thumbs", "--yes", "-n", pool.namespace)
    assert (shown.returncode, shown.stderr) == (0, "")


async def test_who_may_not_see_operators_is_told_nothing_false(
    plane: ControlPlane, pool: ObjectRef, tmp_path: Path
) -> None:
    """There may be one."""
    own = of_somebody(plane, pool.namespace, tmp_path, verbs="get,list,watch,patch", resource="workerpools")
    for words in (["stop", "thumbs", "--yes"], ["get", "thumbs"]):
        shown = await wpool(plane, *words, kubeconfig=own)
        assert (shown.returncode, shown.stderr) == (0, "")
