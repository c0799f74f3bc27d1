"""The evidence of a whole worker, in a time that the test plays: the broker's state is no part of it."""

from collections.abc import Sequence
from typing import Any

import pytest

from workerpool import BrokerUnavailable, Job, Worker
from workerpool.broker import Taken
from workerpool.broker._memory import MemoryBroker
from workerpool.runtime.evidence import Evidence
from workerpool.runtime.stations import Station
from workerpool.testing import Simulation, _simulation, simulate


@pytest.fixture
def evidence(monkeypatch: pytest.MonkeyPatch) -> list[Evidence]:
    """That of the workers which are started."""
    made: list[Evidence] = []

    def make(**named: Any) -> Evidence:
        made.append(Evidence(**named))
        return made[-1]

    monkeypatch.setattr(_simulation, "Evidence", make)
    return made


def test_jobs_that_a_full_lane_sent_back_wait_for_the_broker_and_the_worker_is_well(
    monkeypatch: pytest.MonkeyPatch, evidence: list[Evidence]
) -> None:
    refusals: list[Taken] = []

    async def refuse(_self: MemoryBroker, jobs: Sequence[Taken]) -> frozenset[str]:
        refusals.extend(jobs)
        raise BrokerUnavailable("it is full")

    worker = Worker()

    @worker.job("work", timeout=60)
    async def work(job: Job) -> None:
        raise AssertionError("there is no room for it")

    async def scenario(simulation: Simulation) -> None:
        simulation.start(worker, env={"STUCK_AFTER": "5", "MAX_WORKERS": "4"})
        await simulation.queue.enqueue("work")
        for _ in range(60):
            await simulation.advance(1)
            assert evidence[0].problem() == ""
        assert refusals

    with monkeypatch.context() as patch:
        patch.setattr(Station, "enter", lambda _self: False)
        patch.setattr(MemoryBroker, "hand_back", refuse)
        simulate(scenario)
