"""A collector that stays connected and says nothing any more: the pool holds its size and says so, in every mode.

Nothing else happens to the pool meanwhile, and what the collector says when it speaks again is what it said last: so
neither the silence nor its end is news from anybody. KEDA is played by nobody here: its own tests are in `test_keda`.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from e2e.cluster.controlplane import ControlPlane
from e2e.hpa.plane import POOL, HpaStage, hpa_stage
from tests.component.hpa.test_keda import install
from tests.support.waiting import until

pytestmark = [pytest.mark.component, pytest.mark.apiserver, pytest.mark.usefixtures("crds"), pytest.mark.timeout(420)]

ENOUGH = 60.0
WORKERS = 6


@pytest_asyncio.fixture
async def stage(plane: ControlPlane, tmp_path: Path) -> AsyncIterator[HpaStage]:
    """An operator that looks at everything but once an hour, and a namespace for one pool."""
    await asyncio.to_thread(install, plane)
    settings = {"RESYNC_SECONDS": "3600"}
    async with hpa_stage(plane, home=tmp_path, namespace="silent-collector", settings=settings) as stage:
        yield stage


async def test_silence_is_told_and_costs_nobody_and_ends_by_itself(stage: HpaStage) -> None:
    """One mode after the other, with the same workers."""
    await stage.create(mode="direct")
    stage.jobs(WORKERS)
    await stage.wait_workers(WORKERS, seconds=ENOUGH)
    for mode in ("direct", "hpa", "keda", "manual"):
        await stage.patch({"scaling": {"mode": mode}})
        await _reads(stage, mode, "True", "SamplesFresh")
        stage.collector.silence(POOL)
        await _reads(stage, mode, "False", "SamplesStale")
        if mode != "manual":
            assert (await stage.condition())[0] == "False", mode
        assert (await stage.pool())["status"]["scaling"]["desired"] == WORKERS
        stage.jobs(WORKERS)
        await _reads(stage, mode, "True", "SamplesFresh")
    assert stage.ledger.deleted == set()
    assert len(stage.ledger.created) == stage.ledger.peak[POOL] == WORKERS


async def _reads(stage: HpaStage, mode: str, *said: str) -> None:
    """Wait until the pool, in this mode, says this of its queues."""

    async def says() -> bool:
        status = (await stage.pool())["status"]
        told = [(one["status"], one["reason"]) for one in status["conditions"] if one["type"] == "QueueReachable"]
        return status["scaling"]["mode"] == mode and told == [said]

    await until(says, what=f"mode {mode}: QueueReachable {said}", seconds=ENOUGH)
