"""A worker that is told to stop ends in time, whatever its program leaves behind."""

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.workers import WorkerProcess
from workerpool import Queue

pytestmark = pytest.mark.component

PROGRAM = Path(__file__).with_name("leaving_program.py")
Start = Callable[..., WorkerProcess]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'jobs.db'}"


@pytest.fixture
def start(url: str, tmp_path: Path) -> Iterator[Start]:
    """A worker that leaves this behind, when it has said this."""
    started: list[WorkerProcess] = []

    def start(leaves: str, *, said: str) -> WorkerProcess:
        env = {"LEAVES": leaves, "QUEUE": url, "DRAIN_TIMEOUT": "0.1"}
        worker = WorkerProcess(PROGRAM, env, log=tmp_path / "worker.log")
        started.append(worker)
        deadline = time.monotonic() + 60
        while said not in worker.output:
            assert worker.alive, worker.output
            assert time.monotonic() < deadline, worker.output
            time.sleep(0.02)
        return worker

    yield start
    for worker in started:
        worker.end()


@pytest.mark.parametrize("leaves", ["thread", "pool"])
async def test_a_thread_of_a_handler_does_not_keep_a_worker_that_has_drained(
    leaves: str, url: str, start: Start
) -> None:
    async with Queue.connect(url) as queue:
        await queue.enqueue("work", job_id="a")
        worker = start(leaves, said="works")
        worker.signal(signal.SIGTERM)
        assert worker.wait() == 0
        assert "leaving without them" in worker.output
        assert (await queue.depth()).waiting == 1, "its job was handed back"


@pytest.mark.parametrize("ignores", ["", " and ignores"])
def test_a_lifespan_that_hangs_at_its_start_does_not_keep_the_worker(ignores: str, start: Start) -> None:
    worker = start(f"lifespan start{ignores}", said="hangs")
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    assert "told to stop while the lifespan begins" in worker.output


@pytest.mark.parametrize("ignores", ["", " and ignores"])
def test_a_lifespan_that_hangs_at_its_end_does_not_keep_the_worker(ignores: str, start: Start) -> None:
    worker = start(f"lifespan end{ignores}", said='"ready"')
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    assert "the lifespan does not end" in worker.output


def test_what_a_program_does_after_its_worker_is_its_own_affair(start: Start) -> None:
    worker = start("nothing", said='"ready"')
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    assert "goes on" in worker.output
    assert "leaving without" not in worker.output
