"""Tenants share whole workers: one that floods the queue leaves the others' waits as they were. In played time."""

import asyncio
import statistics

from workerpool import Job, JobSpec, Worker
from workerpool.testing import Simulation, simulate

OTHERS = ("a", "b", "c")
SECONDS = 12.0
SERVICE_SECONDS = 0.1
"""On average; two workers of four slots do 80 jobs per second."""
EACH_PER_SECOND = 15.0
"""Of each of the others, at random moments: less than its share."""


def waits(*, standing: int, tenants: bool) -> list[float]:
    """How long each job of the others waited for its handler, while so many of one more tenant always wait.

    `tenants`: whether jobs say whose they are.
    """
    found: list[float] = []

    async def scenario(simulation: Simulation) -> None:
        worker, clock = Worker(), asyncio.get_running_loop().time

        @worker.job("work", timeout=60)
        async def work(job: Job) -> None:
            if job.payload is None:  # another one takes its place
                await simulation.queue.enqueue("work", tenant=job.tenant)
            else:
                found.append(clock() - job.payload)
            await asyncio.sleep(simulation.random.uniform(0, 2 * SERVICE_SECONDS))

        async def arrive(tenant: str) -> None:
            while True:
                await asyncio.sleep(simulation.random.expovariate(EACH_PER_SECOND))
                await simulation.queue.enqueue("work", clock(), tenant=tenant)

        for _ in range(2):
            simulation.start(worker, env={"MAX_WORKERS": "4"})
        flood = JobSpec("work", tenant="flood" if tenants else "")
        await simulation.queue.enqueue_many([flood] * (standing + 8))
        arriving = [asyncio.create_task(arrive(name if tenants else "")) for name in OTHERS]
        await simulation.advance(SECONDS)
        for task in arriving:
            task.cancel()

    simulate(scenario)
    return found


def p95(times: list[float]) -> float:
    assert len(times) > 0.8 * SECONDS * EACH_PER_SECOND * len(OTHERS), "they are done"
    return statistics.quantiles(times, n=20)[18]


def test_a_flood_of_one_tenant_raises_the_p95_wait_of_the_others_by_less_than_a_fifth() -> None:
    """Beside a tenant of which a few jobs always wait: as many slots as there are never stand still."""
    calm, flooded = (p95(waits(standing=standing, tenants=True)) for standing in (8, 2_000))
    assert calm > 0.01, "nobody waits at all: the test proves nothing"
    assert flooded < 1.2 * calm


def test_without_tenants_the_same_flood_makes_everybody_wait() -> None:
    """Else the test above would show nothing."""
    calm, flooded = (waits(standing=standing, tenants=False) for standing in (8, 400))
    assert statistics.median(flooded) > 10 * statistics.median(calm)
