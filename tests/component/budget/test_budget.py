"""Three pools that contend never exceed their budget, whatever happens to the operator or to the budget."""

import functools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from e2e.cluster.controlplane import ControlPlane
from tests.component.budget.stage import POOLS, BudgetStage, budget_stage
from tests.support.waiting import until
from workerpool_operator.kube import ObjectRef, kinds

pytestmark = [pytest.mark.component, pytest.mark.apiserver, pytest.mark.usefixtures("crds"), pytest.mark.timeout(240)]

MOST = 6


@pytest_asyncio.fixture
async def stage(plane: ControlPlane, tmp_path: Path, namespace: str) -> AsyncIterator[BudgetStage]:
    """An operator, and a namespace for the pools."""
    async with budget_stage(plane, home=tmp_path, namespace=namespace) as stage:
        yield stage


async def test_pools_that_contend_never_exceed_through_drains_restarts_and_the_loss_of_their_budget(
    stage: BudgetStage,
) -> None:
    await stage.create(MOST)
    stage.jobs(first=10)
    await stage.wait_for(first=6)
    stage.drains = False
    stage.jobs(first=10, second=10, third=1)
    await until(lambda: stage.stopping() >= 3, seconds=60, what="the first pool gives up what is too much")
    for _ in range(3):
        await stage.restart()
        await until(lambda: _leads(stage), what="the next operator")
    assert (stage.there()["second"], stage.there()["third"]) == (0, 0), "the seats are not free yet"
    await stage.finish()
    await stage.wait_for(first=3, second=2, third=1)
    stage.jobs(second=10, third=10)
    await stage.restart()
    await stage.wait_for(second=3, third=3)
    await until(lambda: _settled(stage), what="a ledger that says so")
    await until(lambda: _limited(stage, "second"), what="a pool that says so")
    await a_budget_that_is_deleted_in_use_holds_every_pool(stage)
    assert max(stage.history.totals()) == MOST


async def a_budget_that_is_deleted_in_use_holds_every_pool(stage: BudgetStage) -> None:
    """And one that comes back lets them go on."""
    await stage.kube.delete(ObjectRef(kinds.WORKER_POOL_BUDGET, "", stage.budget))
    for pool in POOLS:
        await until(functools.partial(_says, stage, pool, ("False", "BudgetNotFound")), what=f"{pool} says why")
    stage.jobs(first=10, second=2, third=10)
    await stage.wait_for(second=2, third=3)
    await until(lambda: _wants(stage, "first", 10), what="the first pool wants more")
    assert stage.there() == {"first": 0, "second": 2, "third": 3}
    await stage.make_budget(MOST)
    await stage.wait_for(first=2, second=2, third=2)
    await until(lambda: _says(stage, "first", ("True", "Active")), what="the first pool follows its queue again")


async def _leads(stage: BudgetStage) -> bool:
    stage.operator.check()
    epoch, stage.collector.configured_in = stage.collector.configured_in, -1
    return epoch >= 0


async def _settled(stage: BudgetStage) -> bool:
    ledger = await stage.ledger()
    lines = {one["name"]: (one["wanted"], one["granted"], one["used"]) for one in ledger["pools"]}
    return lines == {"first": (0, 0, 0), "second": (10, 3, 3), "third": (10, 3, 3)}


async def _says(stage: BudgetStage, pool: str, told: tuple[str, str]) -> bool:
    return await stage.condition(pool) == told


async def _limited(stage: BudgetStage, pool: str) -> bool:
    return "budget" in (await stage.scaling(pool)).get("limitedBy", ())


async def _wants(stage: BudgetStage, pool: str, count: int) -> bool:
    return bool((await stage.scaling(pool)).get("budget", {}).get("wanted") == count)
