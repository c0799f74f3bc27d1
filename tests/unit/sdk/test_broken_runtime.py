"""An error of the runtime itself is no way around MAX_ATTEMPTS."""

import pytest

from workerpool import Job, Worker
from workerpool.runtime.execution import Execution
from workerpool.testing import Outcome, Simulation, simulate


def test_a_job_at_which_the_runtime_fails_again_and_again_ends_in_the_dead_letters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worker = Worker()

    @worker.job("work", timeout=5)
    async def work(job: Job) -> None:
        raise AssertionError("it is never run")

    async def run(*_arguments: object) -> None:
        raise KeyError("a bug")

    async def scenario(simulation: Simulation) -> None:
        simulation.start(worker, env={"MAX_ATTEMPTS": "3"})
        await simulation.queue.enqueue("work", job_id="a")
        await simulation.finished()
        played = simulation.jobs["a"]
        assert [attempt.outcome for attempt in played.attempts] == [Outcome.RETRIED, Outcome.RETRIED, Outcome.DEAD]
        [letter] = await simulation.queue.dead_letters()
        assert (letter.reason, letter.error) == ("max_attempts", "KeyError: 'a bug'")

    with monkeypatch.context() as patch:
        patch.setattr(Execution, "run", run)
        simulate(scenario)
