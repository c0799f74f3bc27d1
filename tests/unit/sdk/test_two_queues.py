"""A worker with two queues says of each whether it can take from it, and is paused only when it takes nothing."""

import asyncio
from dataclasses import replace

import pytest

from workerpool import Job, Queue, Worker
from workerpool._source import Source
from workerpool.broker import BrokerUnavailable, Taken
from workerpool.broker._memory import MemoryBroker
from workerpool.broker._memory_store import MemoryStore
from workerpool.runtime.contract import Contract
from workerpool.runtime.drain import Stop
from workerpool.runtime.evidence import Evidence
from workerpool.runtime.state import State
from workerpool.telemetry.logs import Log
from workerpool.testing import Simulation, simulate


class Two:
    """The worker, its queues `a` and `b`, and which of them are away."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.stores = {"a": MemoryStore(), "b": MemoryStore()}
        self.away: set[str] = set()
        sources = tuple(Source(name=name, url="memory://", store=store) for name, store in self.stores.items())
        self.queues = {source.name: Queue(source) for source in sources}
        self.done: list[str] = []
        self._be_away(patch)
        worker = Worker()

        @worker.job("work", timeout=5)
        async def work(job: Job) -> None:
            self.done.append(job.queue)

        contract = replace(Contract.from_env({}, source=sources[0]), sources=sources)
        self.engine = worker.assemble(contract, evidence=Evidence(), log=Log(), watchdog=False).engine

    def _be_away(self, patch: pytest.MonkeyPatch) -> None:
        names = {id(store): name for name, store in self.stores.items()}
        real = MemoryBroker.take

        async def take(
            broker: MemoryBroker, *, limit: int, wait: float, without: frozenset[str] = frozenset()
        ) -> list[Taken]:
            if names[id(broker._store)] in self.away:
                raise BrokerUnavailable("away")
            return await real(broker, limit=limit, wait=wait, without=without)

        patch.setattr(MemoryBroker, "take", take)

    @property
    def state(self) -> State:
        return self.engine._state()


def test_a_worker_is_paused_only_when_it_can_take_from_no_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(simulation: Simulation) -> None:
        two, stop = Two(monkeypatch), Stop()
        two.away = {"b"}
        running = asyncio.create_task(two.engine.run(stop))
        await simulation.until(lambda: two.state.troubles == {"b": "BrokerUnavailable"})
        await two.queues["a"].enqueue("work")
        await simulation.until(lambda: two.done == ["a"])
        assert two.state.paused == ""
        two.away = {"a", "b"}
        await simulation.until(lambda: two.state.paused == "broker: BrokerUnavailable")
        assert two.state.troubles == {"a": "BrokerUnavailable", "b": "BrokerUnavailable"}
        two.away = set()
        await simulation.until(lambda: not two.state.troubles)
        assert two.state.paused == ""
        stop.ask()
        await simulation.until(running.done)

    simulate(scenario)
