"""A worker that cannot even load what it takes to talk to its collector works on, and tries again. In played time."""

from typing import Any

import pytest

from workerpool import Job, Worker
from workerpool.runtime import linking
from workerpool.testing import Simulation, simulate


@pytest.mark.parametrize("failure", [OSError("can't start new thread"), ImportError("aiohttp")], ids=repr)
def test_it_works_on_and_tries_again(failure: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    async def load(*_arguments: Any) -> Any:
        tried.append(failure)
        raise failure

    monkeypatch.setattr(linking, "in_own_thread", load)
    worker = Worker()

    @worker.job("work", timeout=5)
    async def work(job: Job) -> None: ...

    async def scenario(simulation: Simulation) -> None:
        simulation.start(worker, env={"WORKERPOOL_COLLECTOR": "collector:1"})
        await simulation.until(lambda: len(tried) == 3, within=20)
        await simulation.queue.enqueue("work", job_id="w")
        await simulation.finished()
        assert simulation.jobs["w"].ended

    simulate(scenario)
