"""The operator and the cluster's own HPA controller, each doing its part of a size; only pods and queue are played."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from e2e.cluster.arguments import Extra
from e2e.cluster.controlplane import ControlPlane
from e2e.hpa.on_plane import round_trip
from e2e.hpa.plane import POOL, HpaStage, hpa_stage
from e2e.hpa.record import Record, table
from tests.support.waiting import until
from workerpool_operator.controller.watches import MANAGED_BY_LABEL
from workerpool_operator.domain.desired import POOL_LABEL
from workerpool_operator.kube import ObjectRef, kinds

pytestmark = [pytest.mark.component, pytest.mark.apiserver, pytest.mark.usefixtures("crds"), pytest.mark.timeout(420)]

PERIOD = 2
ENOUGH = 60.0


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane of its own: the metrics API is cluster-wide, and HPAs are looked at every two seconds."""
    extra = Extra(controller_manager_args=(f"--horizontal-pod-autoscaler-sync-period={PERIOD}s",))
    with ControlPlane(name="hpa", data_dir=tmp_path_factory.mktemp("hpa"), extra=extra) as plane:
        yield plane


@pytest_asyncio.fixture
async def stage(plane: ControlPlane, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[HpaStage]:
    """An operator, and a namespace for one pool."""
    namespace = request.node.name.removeprefix("test_").replace("_", "-")[:50].strip("-")
    async with hpa_stage(plane, home=tmp_path, namespace=namespace) as stage:
        yield stage


async def test_to_and_from_zero_and_between(stage: HpaStage) -> None:
    """Also by one, which an HPA's own tolerance would keep from happening."""
    record = Record(scenario="round trip", expected="")
    await round_trip(stage, record)
    assert record.ok, table([record])


async def six_workers(stage: HpaStage, **scaling: Any) -> None:
    await stage.create(**scaling)
    stage.jobs(6)
    await stage.wait_size(6, seconds=ENOUGH)


def assert_nobody_came_or_went(stage: HpaStage) -> None:
    assert stage.ledger.deleted == set()
    assert len(stage.ledger.created) == stage.ledger.peak[POOL] == 6


async def test_nobody_comes_or_goes_for_what_others_write(stage: HpaStage) -> None:
    """A slip in spec.replicas, in either direction, and hands on the HPA."""
    await six_workers(stage, mode="hpa")
    for slip in (1, 0, 25):
        await stage.patch({"replicas": slip})
        await stage.wait_size(6, seconds=ENOUGH)
    ref = ObjectRef(kinds.HORIZONTAL_POD_AUTOSCALER, stage.namespace, POOL)
    before = await stage.hpa()

    async def as_it_was() -> bool:
        found = await stage.hpa()
        return bool(found) and _wish(found) == _wish(before)

    harms: tuple[dict[str, Any], ...] = (
        {"spec": {"maxReplicas": 2}},
        {"metadata": {"labels": {POOL_LABEL: None}}},
        {"metadata": {"labels": {MANAGED_BY_LABEL: "Helm"}}, "spec": {"maxReplicas": 2}},
        {"metadata": {"ownerReferences": None}, "spec": {"scaleTargetRef": {"name": "other"}}},
    )
    for harm in harms:
        await stage.kube.merge_patch(ref, harm)
        await until(as_it_was, what=f"the HPA as it was before {harm}")
    await stage.kube.delete(ref)
    await until(as_it_was, what="the HPA anew")
    await stage.wait_size(6, seconds=ENOUGH)
    assert_nobody_came_or_went(stage)


def _wish(hpa: dict[str, Any]) -> list[Any]:
    return [hpa["spec"], hpa["metadata"]["labels"], hpa["metadata"].get("ownerReferences")]


async def test_a_pool_comes_into_mode_manual_with_the_size_that_it_has(stage: HpaStage) -> None:
    """Not with what an HPA that sleeps has left in the field."""
    await stage.create(mode="hpa")
    stage.jobs(0)
    await stage.wait_size(0, seconds=ENOUGH)
    await stage.patch({"scaling": {"mode": "direct"}})

    async def in_force() -> bool:
        status = (await stage.pool()).get("status") or {}
        return bool(status.get("scaling", {}).get("mode") == "direct")

    # Jobs may be news before a change of the pool is: in mode hpa the operator itself would write a size for them.
    await until(in_force, what="mode direct in force")
    stage.jobs(6)
    await stage.wait_workers(6, seconds=ENOUGH)
    assert (await stage.pool())["spec"]["replicas"] == 0
    await stage.patch({"scaling": {"mode": "manual"}})
    await stage.wait_size(6, seconds=ENOUGH)
    assert_nobody_came_or_went(stage)


async def test_nobody_comes_or_goes_with_the_mode(stage: HpaStage) -> None:
    """Whatever stood in spec.replicas while it meant nothing."""
    await six_workers(stage, mode="hpa")
    for mode, exists in (("direct", False), ("hpa", True), ("manual", False), ("auto", True), ("direct", False)):
        await stage.patch({"scaling": {"mode": mode}, **({"replicas": 1} if mode == "direct" else {})})

        async def in_force(mode: str = mode, *, exists: bool = exists) -> bool:
            pool = await stage.pool()
            current = pool["status"]["observedGeneration"] == pool["metadata"]["generation"]
            told = pool["status"]["scaling"]["mode"] == ("hpa" if mode == "auto" else mode)
            return current and told and bool(await stage.hpa()) is exists

        await until(in_force, what=f"mode {mode} in force", seconds=ENOUGH)
        if mode != "direct":
            await stage.wait_size(6, seconds=ENOUGH)
    assert_nobody_came_or_went(stage)
