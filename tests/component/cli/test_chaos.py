"""`wpool chaos` at a real API server; the operator and the kubelets, whose work is looked at, are played."""

import asyncio
import contextlib
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from e2e.cluster.controlplane import ControlPlane
from tests.component.cli.running import of_nobody, started, wpool
from tests.support.pools import pool_body
from tests.support.waiting import until
from workerpool_operator.cli.chaos.marks import ALLOWED, ALLOWED_LABEL, BROKEN_LABEL, UNDO_ANNOTATION
from workerpool_operator.domain.desired import COMPONENT_LABEL, POOL_LABEL, WORKER
from workerpool_operator.kube import Kube, ObjectRef, errors, kinds

pytestmark = [pytest.mark.component, pytest.mark.apiserver, pytest.mark.usefixtures("crds")]

ALLOW = {"metadata": {"labels": {ALLOWED_LABEL: ALLOWED}}}
READY = [{"type": kind, "status": "True", "reason": "R", "message": ""} for kind in ("Ready", "QueueReachable")]
SINCE = "2026-01-01T00:00:00Z"


async def worker(kube: Kube, namespace: str, name: str, *, on: str = "n1") -> ObjectRef:
    """A ready one, without a kubelet."""
    labels = {POOL_LABEL: "thumbs", COMPONENT_LABEL: WORKER}
    spec = {
        "nodeName": on,
        "automountServiceAccountToken": False,
        "containers": [{"name": "worker", "image": "thumbs:1"}],
    }
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    await kube.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    ref = ObjectRef(kinds.POD, namespace, name)
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    await kube.merge_patch(ref, {"status": status}, subresource="status")
    return ref


@pytest.fixture
async def pool(kube: Kube, namespace: str) -> ObjectRef:
    """Ready, with its one worker, and nobody has allowed anything."""
    body = pool_body("thumbs", namespace)
    body["metadata"].pop("uid", None)
    generation = (await kube.create(body))["metadata"]["generation"]
    ref = ObjectRef(kinds.WORKER_POOL, namespace, "thumbs")
    conditions = [one | {"lastTransitionTime": SINCE, "observedGeneration": generation} for one in READY]
    status = {"observedGeneration": generation, "conditions": conditions, "scaling": {"desired": 1}}
    await kube.merge_patch(ref, {"status": status}, subresource="status")
    await worker(kube, namespace, "thumbs-a")
    return ref


@pytest.fixture
async def node(kube: Kube, namespace: str) -> AsyncIterator[ObjectRef]:
    """One that has allowed it."""
    name = f"n-{namespace}"
    metadata = {"name": name, **ALLOW["metadata"]}
    await kube.create({"apiVersion": "v1", "kind": "Node", "metadata": metadata})
    yield (ref := ObjectRef(kinds.NODE, "", name))
    await kube.delete(ref)


def policy(namespace: str) -> ObjectRef:
    return ObjectRef(kinds.NETWORK_POLICY, namespace, "thumbs-chaos")


async def exists(kube: Kube, ref: ObjectRef) -> bool:
    with contextlib.suppress(errors.NotFound):
        await kube.get(ref)
        return True
    return False


def cut(namespace: str, *words: str) -> tuple[str, ...]:
    return "chaos", "broker-partitioned", "thumbs", "-n", namespace, *words


async def test_what_has_not_said_yes_is_spared(
    plane: ControlPlane, kube: Kube, namespace: str, pool: ObjectRef
) -> None:
    """It is told who could say it, and how; `--yes` is no such word."""
    shown = await wpool(plane, *cut(namespace, "--yes"))
    assert shown.returncode == 3
    assert "nothing was broken: broker-partitioned has to be allowed on wpool/POOL" in shown.stderr
    assert f"kubectl label wpool thumbs {ALLOWED_LABEL}={ALLOWED}" in shown.stderr
    assert not await exists(kube, policy(namespace))


SHARED = {
    "collector-killed": "namespace {namespace}",
    "network-delay": "namespace {namespace}",
    "operator-killed": "namespace workerpool-system",
    "node-lost": "node n1",
}
"""Scenario -> who else has to allow it."""


async def test_a_pool_does_not_speak_for_others(
    plane: ControlPlane, kube: Kube, namespace: str, pool: ObjectRef
) -> None:
    """What hits more than the pool has to be allowed by more than the pool."""
    await kube.merge_patch(pool, ALLOW)
    for kind, name in (("Namespace", "workerpool-system"), ("Node", "n1")):
        with contextlib.suppress(errors.AlreadyExists):
            await kube.create({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}})
    for scenario, where in SHARED.items():
        shown = await wpool(plane, "chaos", scenario, "thumbs", "-n", namespace, "--yes")
        assert shown.returncode == 3
        assert f"kubectl label {where.format(namespace=namespace)} {ALLOWED_LABEL}={ALLOWED}" in shown.stderr


async def test_a_dry_run_and_a_no_break_nothing(
    plane: ControlPlane, kube: Kube, namespace: str, pool: ObjectRef
) -> None:
    """Who would be hit is named first; where nobody can be asked, `--yes` has to be said."""
    await kube.merge_patch(ObjectRef(kinds.NAMESPACE, "", namespace), ALLOW)
    dry = await wpool(plane, *cut(namespace, "--dry-run"))
    assert dry.returncode == 0, dry.stderr
    assert "hits the workers thumbs-a" in dry.stdout
    assert dry.stdout.endswith("nothing was broken: a dry run\n")
    asked = await wpool(plane, *cut(namespace))
    assert asked.returncode == 2
    assert "say --yes" in " ".join(asked.stderr.split())
    assert not await exists(kube, policy(namespace))


async def test_it_is_broken_put_back_and_told(
    plane: ControlPlane, kube: Kube, namespace: str, pool: ObjectRef, tmp_path: Path
) -> None:
    """A policy of the workers' own is emptied meanwhile, and is afterwards as it was."""
    await kube.merge_patch(pool, ALLOW)
    spec: dict[str, Any] = {
        "podSelector": {"matchLabels": {POOL_LABEL: "thumbs"}},
        "policyTypes": ["Egress"],
        "egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}],
    }
    own = {"metadata": {"name": "own", "namespace": namespace}, "spec": spec}
    await kube.create({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", **own})
    ref = ObjectRef(kinds.NETWORK_POLICY, namespace, "own")
    outcome = tmp_path / "chaos.json"
    running = asyncio.create_task(wpool(plane, *cut(namespace, "--for", "15", "--yes", "--json", str(outcome))))
    await until(lambda: exists(kube, policy(namespace)))
    meanwhile = await kube.get(ref)
    assert (await kube.get(policy(namespace)))["metadata"]["labels"] == {BROKEN_LABEL: "thumbs"}
    assert meanwhile["spec"]["egress"] != spec["egress"]
    shown = await running
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert not await exists(kube, policy(namespace))
    after = await kube.get(ref)
    assert after["spec"] == spec
    assert BROKEN_LABEL not in after["metadata"].get("labels", {})
    assert UNDO_ANNOTATION not in after["metadata"].get("annotations", {})
    (row,) = json.loads(outcome.read_text())
    assert row.keys() == {"scenario", "expected", "observed", "recovered_seconds", "jobs_lost"}
    assert (row["scenario"], row["jobs_lost"]) == ("broker-partitioned", None)
    assert "not known: jobs wait" in row["observed"]
    assert "as expected" in shown.stdout


async def test_a_policy_that_is_not_the_workers_alone_is_left_alone(
    plane: ControlPlane, kube: Kube, namespace: str, pool: ObjectRef
) -> None:
    """Policies only allow, so that one would let them through; and it is others' as well."""
    await kube.merge_patch(pool, ALLOW)
    own = {"metadata": {"name": "all", "namespace": namespace}}
    spec = {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]}
    await kube.create({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", **own, "spec": spec})
    shown = await wpool(plane, *cut(namespace, "--yes"))
    assert shown.returncode == 3
    assert "NetworkPolicy all lets these workers through" in " ".join(shown.stderr.split())
    assert not await exists(kube, policy(namespace))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_puts_back_what_was_broken(
    plane: ControlPlane, kube: Kube, namespace: str, pool: ObjectRef, number: signal.Signals
) -> None:
    """As Ctrl-C does; a terminal that is closed is one too."""
    await kube.merge_patch(pool, ALLOW)
    running = await started(plane, *cut(namespace, "--for", "600", "--yes"))
    await until(lambda: exists(kube, policy(namespace)))
    running.send_signal(number)
    said, complained = await running.communicate()
    assert running.returncode == 130, said + complained
    assert b"stopped, and put back" in said
    assert not await exists(kube, policy(namespace))


async def test_what_a_killed_play_has_left_is_found_and_put_back(
    plane: ControlPlane, kube: Kube, namespace: str, pool: ObjectRef
) -> None:
    """Before that nothing more is broken there; after it there is nothing left to find."""
    await kube.merge_patch(pool, ALLOW)
    running = await started(plane, *cut(namespace, "--for", "600", "--yes"))
    await until(lambda: exists(kube, policy(namespace)))
    running.kill()
    await running.communicate()
    again = await wpool(plane, *cut(namespace, "--yes"))
    assert again.returncode == 3
    assert "an earlier play has left NetworkPolicy" in again.stderr
    dry = await wpool(plane, "chaos", "stop", "thumbs", "-n", namespace, "--dry-run")
    assert f"NetworkPolicy {namespace}/thumbs-chaos: would be put back" in dry.stdout
    assert await exists(kube, policy(namespace))
    stopped = await wpool(plane, "chaos", "stop", "thumbs", "-n", namespace)
    assert (stopped.returncode, stopped.stdout) == (0, f"NetworkPolicy {namespace}/thumbs-chaos: deleted\n")
    assert not await exists(kube, policy(namespace))
    nothing = await wpool(plane, "chaos", "stop", "thumbs", "-n", namespace)
    assert (nothing.returncode, nothing.stdout) == (0, "thumbs: nothing is left of a play\n")


async def test_a_node_is_cordoned_emptied_of_the_pool_and_given_back(
    plane: ControlPlane, kube: Kube, namespace: str, pool: ObjectRef, node: ObjectRef
) -> None:
    """Also when the play was killed in the midst of it. Workers of the same pool elsewhere stay."""
    here = await worker(kube, namespace, "thumbs-b", on=node.name)
    elsewhere = ObjectRef(kinds.POD, namespace, "thumbs-a")
    words = ("chaos", "node-lost", "thumbs", "-n", namespace, "--node", node.name, "--yes")
    running = await started(plane, *words)

    async def struck() -> bool:
        return not await exists(kube, here)

    await until(struck)
    assert (await kube.get(node))["spec"]["unschedulable"] is True
    running.kill()
    await running.communicate()
    assert await exists(kube, elsewhere)
    stopped = await wpool(plane, "chaos", "stop", "thumbs", "-n", namespace)
    assert f"Node {node.name}: put back" in stopped.stdout
    after = await kube.get(node)
    assert not after["spec"].get("unschedulable")
    assert BROKEN_LABEL not in after["metadata"]["labels"]


async def test_a_pool_that_is_not_well_is_not_made_worse(
    plane: ControlPlane, kube: Kube, namespace: str, pool: ObjectRef
) -> None:
    await kube.merge_patch(pool, ALLOW)
    await kube.merge_patch(pool, {"status": {"scaling": {"desired": 2}}}, subresource="status")
    running = await started(plane, *cut(namespace, "--yes"))
    assert running.stdout is not None
    while b"1 of 2 workers ready" not in await running.stdout.readline():
        pass
    running.send_signal(signal.SIGTERM)
    await running.communicate()
    assert running.returncode == 130
    assert not await exists(kube, policy(namespace))


async def test_wrong_usage_is_told(plane: ControlPlane, namespace: str) -> None:
    for words, said in (
        (("everything-killed", "thumbs"), "is none; there are worker-killed"),
        (("worker-killed", "thumbs", "--for", "30"), "leave --for out"),
        (("worker-killed", "thumbs", "--url", "redis://r:6379/0"), "belong together"),
    ):
        shown = await wpool(plane, "chaos", *words, "-n", namespace, WPOOL_URL="")
        assert shown.returncode == 2
        assert said in " ".join(shown.stderr.split())


async def test_without_rights_it_says_which(
    plane: ControlPlane, namespace: str, pool: ObjectRef, tmp_path: Path
) -> None:
    nobody = of_nobody(plane, namespace, tmp_path)
    shown = await wpool(plane, *cut(namespace, "--yes"), kubeconfig=nobody)
    assert shown.returncode == 3
    assert "you may not do this" in shown.stderr
