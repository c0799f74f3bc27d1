"""Scale-in of many: of forty workers, twenty at work, the other twenty go."""

import random
from pathlib import Path

import pytest

from e2e.cluster.controlplane import ControlPlane
from e2e.faults.collector import Script
from e2e.faults.lane import CALM_SECONDS
from e2e.faults.matrix.ground import Ground
from e2e.faults.scenarios import POOL, QUEUE, pool_body
from e2e.support.wait import until

pytestmark = [pytest.mark.component, pytest.mark.apiserver]

ALL, BUSY = 40, 20


@pytest.mark.timeout(240)
async def test_twenty_busy_workers_of_forty_are_the_ones_that_stay(
    plane: ControlPlane, crds: None, tmp_path: Path
) -> None:
    """Which of them are busy is drawn; none of those is ended, and no worker is made on the way."""
    ground = Ground(home=tmp_path)
    ground.use(plane)
    async with ground, ground.lane() as lane, lane.stage("forty") as stage:
        body = pool_body(stage, POOL)
        body["spec"]["scaling"] |= {"minReplicas": 0, "maxReplicas": ALL}
        stage.collector.say(POOL, Script(queue=QUEUE, waiting=ALL))
        await lane.kube.create(body)

        async def grown() -> bool:
            return len(lane.witness.ready_workers(stage.namespace, POOL)) == ALL

        await until(grown, seconds=120, what=f"{ALL} workers")
        workers = sorted(lane.witness.ready_workers(stage.namespace, POOL))
        busy = frozenset(random.Random(7).sample(workers, BUSY))
        ledger = lane.witness.open(stage.namespace)
        stage.collector.say(POOL, Script(queue=QUEUE, in_flight=BUSY, busy=busy))

        async def shrunk() -> bool:
            return len(ledger.deleted) >= ALL - BUSY

        await until(shrunk, seconds=60, what=f"{ALL - BUSY} workers gone")

        async def calm() -> bool:
            pool = await lane.kube.get(stage.ref(POOL))
            return bool(pool["status"].get("replicas") == pool["status"].get("readyReplicas") == BUSY)

        await until(calm, seconds=60, what=f"{BUSY} workers in the status", pause=CALM_SECONDS)
        assert lane.witness.ready_workers(stage.namespace, POOL).keys() == busy
        assert (ledger.created, len(ledger.deleted)) == (set(), ALL - BUSY)
