"""The guards at the queue and around calls in a whole worker, in a time that the test plays."""

import asyncio

from workerpool import Job, Worker
from workerpool.testing import Outcome, Simulation, simulate

LIMITS = {"TENANT_LIMITS": '{"a": {"maxInFlight": 2}}', "SHED_AFTER_SECONDS": '{"low": 60}', "BACKOFF_SECONDS": "1"}


class Calls:
    """How many jobs ran at a time, of each tenant and all."""

    def __init__(self) -> None:
        self.now: list[str] = []
        self.most: dict[str, int] = {}

    async def last(self, seconds: float, tenant: str) -> None:
        self.now.append(tenant)
        self.most[tenant] = max(self.most.get(tenant, 0), self.now.count(tenant))
        await asyncio.sleep(seconds)
        self.now.remove(tenant)


def a_worker(calls: Calls) -> Worker:
    worker = Worker()
    crm = worker.endpoint("crm", at_most=3, timeout=30)

    @worker.job("call", timeout=60)
    async def call(job: Job) -> None:
        async with crm:
            await calls.last(1.0, "crm")

    @worker.job("work", timeout=60)
    async def work(job: Job) -> None:
        await calls.last(1.0, job.tenant)

    return worker


def test_an_endpoint_lets_no_more_jobs_in_than_it_may_while_others_run() -> None:
    calls = Calls()

    async def scenario(simulation: Simulation) -> None:
        worker = a_worker(calls)
        simulation.start(worker)
        for number in range(9):
            await simulation.queue.enqueue("call", job_id=f"call-{number}")
        await simulation.queue.enqueue("work")
        began = simulation.now
        await simulation.finished()
        assert simulation.now - began < 4.5
        figures = worker._endpoints["crm"].figures
        assert (figures.waited, round(figures.wait.sum)) == (6, 3 * 1 + 3 * 2)

    simulate(scenario)
    assert calls.most == {"crm": 3, "": 1}


def test_a_tenants_limit_holds_in_a_worker_that_has_room_for_more() -> None:
    calls = Calls()

    async def scenario(simulation: Simulation) -> None:
        simulation.start(a_worker(calls), env=LIMITS)
        for tenant in "ab":
            for _ in range(6):
                await simulation.queue.enqueue("work", tenant=tenant)
        await simulation.finished()

    simulate(scenario)
    assert calls.most == {"a": 2, "b": 6}


def test_late_jobs_are_not_run_and_counted_apart() -> None:
    async def scenario(simulation: Simulation) -> None:
        calls = Calls()
        await simulation.queue.enqueue("work", job_id="expires", expires_in=30)
        await simulation.queue.enqueue("work", job_id="low", priority="low")
        await simulation.queue.enqueue("work", job_id="fine")
        await simulation.advance(61)
        simulation.start(a_worker(calls), env=LIMITS)
        await simulation.until(lambda: "fine" in simulation.jobs and simulation.jobs["fine"].outcome is Outcome.DONE)
        letters = await simulation.queue.dead_letters()
        assert {(one.job_id, one.reason, one.attempts) for one in letters} == {
            ("expires", "expired", 0),
            ("low", "shed", 0),
        }
        assert calls.most == {"": 1}

    simulate(scenario)
