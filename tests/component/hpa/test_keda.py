"""Mode keda on a real API server with KEDA's real definitions; KEDA itself is played, by hands on spec.replicas."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from e2e.cluster import crds as definitions
from e2e.cluster.api import wait_until
from e2e.cluster.controlplane import ControlPlane
from e2e.hpa.plane import POOL, HpaStage, hpa_stage
from tests.support.crds import KubectlError, kubectl
from tests.support.waiting import until
from workerpool_operator.kube import ObjectRef, errors, kinds
from workerpool_operator.kube.kinds import Kind

pytestmark = [pytest.mark.component, pytest.mark.apiserver, pytest.mark.usefixtures("crds"), pytest.mark.timeout(420)]

ENOUGH = 60.0
ANSWER = f"{POOL}-size"


@pytest_asyncio.fixture
async def stage(plane: ControlPlane, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[HpaStage]:
    """An operator that looks for what it does not watch every second or so, and a namespace for one pool."""
    namespace = request.node.name.removeprefix("test_").replace("_", "-")[:50].strip("-")
    async with hpa_stage(plane, home=tmp_path, namespace=namespace, settings={"RESYNC_SECONDS": "2"}) as stage:
        yield stage


@pytest.fixture
def keda_kinds(plane: ControlPlane) -> None:
    """The cluster knows KEDA's kinds."""
    install(plane)


def install(plane: ControlPlane) -> None:
    applied = [
        json.loads(kubectl(plane, "apply", "--server-side", "-o", "json", "-f", str(path)))
        for path in definitions.keda()
    ]
    names = ",".join(one["metadata"]["name"] for one in applied)

    def served() -> bool:
        try:
            kubectl(plane, "get", names, "--all-namespaces")
        except KubectlError:
            return False
        return True

    wait_until(served, seconds=60, what="KEDA's kinds served")


def uninstall(plane: ControlPlane) -> None:
    for path in definitions.keda():
        kubectl(plane, "delete", "--ignore-not-found", "--timeout=60s", "-f", str(path))


async def found(stage: HpaStage, kind: Kind, name: str) -> dict[str, Any]:
    try:
        return await stage.kube.get(ObjectRef(kind, stage.namespace, name))
    except (errors.NotFound, errors.KindNotServed):
        return {}


async def told(stage: HpaStage, value: str) -> None:
    """Wait until KEDA is told this."""

    async def is_told() -> bool:
        return (await found(stage, kinds.CONFIG_MAP, ANSWER)).get("data") == {"desiredReplicas": value}

    await until(is_told, what=f"KEDA told {value}", seconds=ENOUGH)


async def test_without_keda_the_size_is_held_and_with_it_all_goes_on(stage: HpaStage, plane: ControlPlane) -> None:
    await asyncio.to_thread(uninstall, plane)
    await stage.create(mode="keda")
    stage.jobs(6)
    await stage.wait_condition("False", "KedaNotInstalled", seconds=ENOUGH)
    await stage.wait_size(6, seconds=ENOUGH)  # from 0 the operator goes alone
    stage.jobs(9)

    async def wants_nine() -> bool:
        return bool((await stage.pool())["status"]["scaling"]["desired"] == 9)

    await until(wants_nine, what="nine wanted", seconds=ENOUGH)
    assert await stage.condition() == ("False", "KedaNotInstalled")
    await asyncio.to_thread(install, plane)
    await told(stage, "9")
    await stage.wait_condition("True", "Active", seconds=ENOUGH)
    assert await found(stage, kinds.SCALED_OBJECT, POOL)
    assert (stage.ledger.peak[POOL], stage.ledger.deleted) == (6, set())
    await stage.patch({"replicas": 9})
    await stage.wait_size(9, seconds=ENOUGH)


@pytest.mark.usefixtures("keda_kinds")
async def test_keda_is_told_what_is_wanted_and_what_is_not_known(stage: HpaStage) -> None:
    """A slip in spec.replicas costs nobody, and what the ScaledObject became by hand is put back."""
    await stage.create(mode="keda")
    await told(stage, "unknown")
    stage.jobs(6)
    await told(stage, "6")
    await stage.wait_size(6, seconds=ENOUGH)
    await until(lambda: found(stage, kinds.SCALED_OBJECT, POOL), what="the ScaledObject", seconds=ENOUGH)
    before = await found(stage, kinds.SCALED_OBJECT, POOL)
    (owner,) = before["metadata"]["ownerReferences"]
    assert owner["uid"] == (await stage.pool())["metadata"]["uid"]
    ref = ObjectRef(kinds.SCALED_OBJECT, stage.namespace, POOL)

    async def as_it_was() -> bool:
        return bool((await found(stage, kinds.SCALED_OBJECT, POOL)).get("spec") == before["spec"])

    await stage.kube.merge_patch(ref, {"spec": {"maxReplicaCount": 2, "minReplicaCount": 1}})
    await until(as_it_was, what="the ScaledObject as it was", seconds=ENOUGH)
    await stage.kube.delete(ref)
    await until(as_it_was, what="the ScaledObject anew", seconds=ENOUGH)
    stage.collector.silence(POOL)
    await told(stage, "unknown")
    await stage.patch({"replicas": 1})
    stage.jobs(6)
    await told(stage, "6")
    await stage.patch({"replicas": 25})
    await stage.patch({"replicas": 6})
    await stage.wait_size(6, seconds=ENOUGH)
    assert stage.ledger.deleted == set()
    assert stage.ledger.peak[POOL] == 6


@pytest.mark.usefixtures("keda_kinds")
async def test_nobody_comes_or_goes_with_the_mode_and_nothing_of_keda_is_left(stage: HpaStage) -> None:
    await stage.create(mode="keda")
    stage.jobs(6)
    await stage.wait_size(6, seconds=ENOUGH)
    for mode in ("direct", "keda", "hpa", "keda", "manual"):
        await stage.patch({"scaling": {"mode": mode}})

        async def in_force(mode: str = mode) -> bool:
            scaled = bool(await found(stage, kinds.SCALED_OBJECT, POOL))
            answer = bool(await found(stage, kinds.CONFIG_MAP, ANSWER))
            mode_told = (await stage.pool())["status"]["scaling"]["mode"]
            return (
                mode_told == mode
                and scaled is answer is (mode == "keda")
                and bool(await stage.hpa()) is (mode == "hpa")
            )

        await until(in_force, what=f"mode {mode} in force", seconds=ENOUGH)
    assert stage.ledger.deleted == set()
    assert len(stage.ledger.created) == stage.ledger.peak[POOL] == 6


@pytest.mark.usefixtures("keda_kinds")
async def test_a_persons_objects_of_these_names_are_left_alone(stage: HpaStage) -> None:
    theirs = {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": POOL, "namespace": stage.namespace},
        "spec": {"scaleTargetRef": {"name": "other"}, "triggers": [{"type": "cron", "metadata": {}}]},
    }
    await stage.kube.create(theirs)
    await stage.create(mode="keda")
    stage.jobs(2)
    await stage.wait_condition("False", "MetricsUnavailable", seconds=ENOUGH)
    assert (await found(stage, kinds.SCALED_OBJECT, POOL))["spec"] == theirs["spec"]
    await stage.wait_size(2, seconds=ENOUGH)
