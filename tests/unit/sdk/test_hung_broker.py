"""A drain while the broker hangs ends within what the pod's grace period has for it. In played time."""

import asyncio
from typing import Any

import pytest

from workerpool import Job, Worker
from workerpool.broker._memory import MemoryBroker
from workerpool.runtime.last_figures import MARGIN_SECONDS
from workerpool.testing import Simulation, simulate

DRAIN_SECONDS = 1.0
SCRAPE_SECONDS = 10.0
"""Of the margin, for the last scrape."""


class Hanging:
    """Brokers that answer nothing from a moment on."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = False
        for name in ("take", "ack", "hand_back", "extend", "take_tokens", "interrupt", "close"):
            patch.setattr(MemoryBroker, name, self._hang(getattr(MemoryBroker, name)))

    def _hang(self, real: Any) -> Any:
        async def call(*arguments: Any, **more: Any) -> Any:
            answer = None if self.now else await real(*arguments, **more)
            if self.now:
                await asyncio.Event().wait()
            return answer

        return call


@pytest.mark.parametrize("env", [{}, {"RATE_LIMIT_PER_SECOND": "100"}], ids=["plain", "rate limit"])
def test_a_drain_ends_in_time_although_the_broker_answers_nothing(
    env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = Worker()

    @worker.job("long")
    async def long(job: Job) -> None:
        await asyncio.sleep(3600)

    async def scenario(simulation: Simulation) -> None:
        hanging = Hanging(monkeypatch)
        process = simulation.start(worker, env={**env, "DRAIN_TIMEOUT": str(DRAIN_SECONDS), "MAX_WORKERS": "2"})
        await simulation.queue.enqueue("long", job_id="l")
        await simulation.until(lambda: "l" in simulation.jobs)
        await simulation.advance(0.5)
        hanging.now = True
        asked = simulation.now
        drained = await simulation.stop(process)
        assert drained.unsettled == 1
        assert simulation.now - asked <= DRAIN_SECONDS + MARGIN_SECONDS - SCRAPE_SECONDS / 2, "and time for the scrape"
        hanging.now = False

    simulate(scenario)
