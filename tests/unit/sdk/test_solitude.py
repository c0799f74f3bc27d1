"""Jobs that may have ended their workers run alone: one bad job is the only one that is dead-lettered for it."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from workerpool import Batch, Job, JobSpec, Worker
from workerpool.broker import Taken
from workerpool.broker._memory import MemoryBroker
from workerpool.broker._memory_store import MemoryStore
from workerpool.runtime.gate import Gate
from workerpool.runtime.inflight import InFlight, Running
from workerpool.runtime.solitude import ALONE, RUNS_ALONE, Solitude, is_suspect
from workerpool.testing import Line, Outcome, Simulation, point, search, simulate

ENV = {"MAX_WORKERS": "4", "LEASE_SECONDS": "6", "MAX_ATTEMPTS": "5"}


def taken(*, attempt: int = 1, redelivered: bool = False) -> Taken:
    return Taken("t", "t", "t", b"", attempt, 0.0, redelivered)


@pytest.mark.parametrize(
    ("attempt", "allowed", "suspect"),
    [
        (2, 5, False),
        (3, 5, True),
        (4, 5, True),
        (5, 5, True),
        (6, 5, False),
        (2, 2, True),
        (3, 2, False),
        (2, 1, False),
    ],
)
def test_a_job_that_came_back_from_workers_is_suspect_from_the_third_attempt_or_at_the_last(
    attempt: int,
    allowed: int,
    suspect: bool,  # noqa: FBT001
) -> None:
    """One beyond the last is not run at all."""
    assert is_suspect(taken(attempt=attempt, redelivered=True), allowed=allowed) is suspect
    assert not is_suspect(taken(attempt=attempt), allowed=allowed), "it failed, and its worker lived to say so"


def running() -> Running:
    return Running(taken(), "main", 0.0, MemoryBroker(MemoryStore(), lease_seconds=60))


def test_it_is_one_jobs_until_that_is_settled_and_nothing_is_taken_meanwhile() -> None:
    gate, one, other = Gate(), running(), running()
    solitude = Solitude(gate, seconds=60)
    assert solitude.claim(one)
    assert not solitude.claim(other)
    assert (solitude.taken, set(gate.reasons), one.alone, other.alone) == (True, {ALONE}, True, False)
    solitude.settled(other)
    solitude.give_up()
    assert (solitude.taken, gate.enter()) == (True, False)
    solitude.settled(one)
    assert (solitude.taken, gate.enter()) == (False, True)
    assert solitude.claim(other)


async def test_what_goes_back_is_waited_for_even_when_the_time_is_up() -> None:
    """Another suspect may be among it, and would die with this one."""
    in_flight, one, going = InFlight(), running(), running()
    solitude = Solitude(Gate(), seconds=0)
    in_flight.add(one)
    in_flight.add(going)
    going.settling = True
    solitude.claim(one)
    waiting = asyncio.create_task(solitude.begin(in_flight))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not waiting.done()
    in_flight.discard(going)
    solitude.settled(going)
    assert await waiting == 0


@dataclass
class Books:
    """A worker's program, and what its handlers did, in order."""

    lines: list[str] = field(default_factory=list)
    engine: Any = None

    def worker(self) -> Worker:
        books = self

        class Watched(Worker):
            def assemble(self, *arguments: Any, **more: Any) -> Any:
                assembled = super().assemble(*arguments, **more)
                books.engine = assembled[0]
                return assembled

        worker = Watched()

        @worker.job("work", timeout=1000)
        async def work(job: Job) -> None:
            self.lines.append(f"{job.id} begins")
            await asyncio.sleep(job.payload)
            self.lines.append(f"{job.id} ends")

        @worker.job("deadly", timeout=1000)
        async def deadly(job: Job) -> None:
            await point("deadly")
            await work(job)

        return worker


def die(simulation: Simulation, times: int) -> None:
    for hit in range(1, times + 1):
        simulation.crash_at("deadly", hit=hit)


def said(simulation: Simulation) -> list[Line]:
    return [line for line in simulation.log if line.event == RUNS_ALONE]


def killed(simulation: Simulation, id_: str) -> int:
    return [attempt.outcome for attempt in simulation.jobs[id_].attempts].count(Outcome.KILLED)


def dead(simulation: Simulation) -> set[str]:
    return {id_ for id_, played in simulation.jobs.items() if played.outcome is Outcome.DEAD}


@pytest.mark.parametrize("allowed", [2, 3, 5])
def test_only_the_bad_job_is_dead_lettered_and_no_other_loses_more_than_two_attempts(allowed: int) -> None:
    """Whatever the order in which things happen, also with jobs that take longer than a suspect waits for them."""

    async def scenario(simulation: Simulation) -> None:
        die(simulation, allowed)
        good = [JobSpec("work", simulation.random.choice([0, 0.1, 2, 9]), job_id=f"{number}") for number in range(10)]
        await simulation.queue.enqueue_many([JobSpec("deadly", 0, job_id="bad"), *good])
        env = ENV | {"MAX_ATTEMPTS": str(allowed), "DRAIN_TIMEOUT": str(simulation.random.choice([0, 1, 60]))}
        for _ in range(simulation.random.choice([1, 2])):
            simulation.start(Books().worker(), env=env)
        await simulation.finished()
        assert dead(simulation) == {"bad"}
        assert killed(simulation, "bad") == allowed
        assert max(killed(simulation, str(number)) for number in range(10)) <= 2

    assert search(scenario, seeds=range(12)) is None


def test_where_one_attempt_is_allowed_all_die_that_were_beside_it() -> None:
    """None is left to find out by, and a second one was not wanted."""

    async def scenario(simulation: Simulation) -> None:
        die(simulation, 1)
        await simulation.queue.enqueue_many([JobSpec("deadly", 0, job_id="bad"), JobSpec("work", 5, job_id="good")])
        simulation.start(Books().worker(), env=ENV | {"MAX_ATTEMPTS": "1"})
        await simulation.finished()
        assert dead(simulation) == {"bad", "good"}

    simulate(scenario)


async def met_while_others_run(simulation: Simulation, books: Books, **env: str) -> None:
    """A worker has two jobs of some 20 s, and has been given one that came back twice; another one waits."""
    die(simulation, 2)
    simulation.start(books.worker(), env=ENV | env)
    await simulation.queue.enqueue("deadly", 5, job_id="odd")
    await simulation.until(lambda: "odd" in simulation.jobs and killed(simulation, "odd") == 2)
    await simulation.queue.enqueue_many([JobSpec("work", 20, job_id="one"), JobSpec("work", 21, job_id="two")])
    await simulation.until(lambda: len(simulation.jobs["odd"].attempts) == 3)
    await simulation.queue.enqueue("work", 1, job_id="late")


def test_a_suspect_waits_for_the_others_keeps_its_lease_and_has_the_worker_for_itself() -> None:
    books = Books()

    async def scenario(simulation: Simulation) -> None:
        await met_while_others_run(simulation, books)
        assert books.engine._state().paused == ALONE
        await simulation.finished()
        assert books.engine._state().paused == ""
        outcomes = [attempt.outcome for attempt in simulation.jobs["odd"].attempts]
        assert outcomes == [Outcome.KILLED, Outcome.KILLED, Outcome.DONE]
        [line] = said(simulation)
        assert (line.fields["job_id"], line.fields["attempt"], line.fields["beside"]) == ("odd", 3, 0)

    simulate(scenario)
    begin = ["one begins", "two begins", "one ends", "two ends"]
    assert books.lines == [*begin, "odd begins", "odd ends", "late begins", "late ends"]


def test_a_suspect_waits_no_longer_than_a_drain_would_and_then_nothing_new_comes_beside_it() -> None:
    books = Books()

    async def scenario(simulation: Simulation) -> None:
        await met_while_others_run(simulation, books, DRAIN_TIMEOUT="2")
        await simulation.finished()
        assert [line.fields["beside"] for line in said(simulation)] == [2]

    simulate(scenario)
    assert books.lines[2:6] == ["odd begins", "odd ends", "late begins", "late ends"]


def test_a_drain_hands_a_waiting_suspect_back_at_once_and_the_next_worker_runs_it_alone_at_the_same_attempt() -> None:
    books = Books()

    async def scenario(simulation: Simulation) -> None:
        await met_while_others_run(simulation, books)
        [process], asked = simulation.processes, simulation.now
        await simulation.stop(process)
        odd = simulation.jobs["odd"]
        assert (odd.outcome, odd.attempts[-1].ended) == (Outcome.HANDED_BACK, asked)
        heir = simulation.start(books.worker(), env=ENV)
        await simulation.finished()
        assert [attempt.number for attempt in odd.attempts] == [1, 2, 3, 3]
        assert odd.outcome is Outcome.DONE
        assert [(line.worker, line.fields["beside"]) for line in said(simulation)] == [(heir.name, 0)]

    simulate(scenario)


def test_a_suspect_that_somebody_else_has_by_now_is_not_run_here() -> None:
    """Its worker could not extend the lease while it waited."""
    books = Books()

    async def scenario(simulation: Simulation) -> None:
        await met_while_others_run(simulation, books)
        store = simulation._source.store
        assert store is not None
        [lease] = [one for one in store.in_flight.values() if one.entry.job_id == "odd"]
        lease.owner, lease.until = object(), simulation.now + 60
        await simulation.until(lambda: "late ends" in books.lines)
        assert "odd begins" not in books.lines
        await simulation.finished()

    simulate(scenario)


def test_a_batch_with_a_bad_job_costs_the_others_no_more() -> None:
    """Those whose worker died are batches of their own, and from the third attempt on nothing is beside them."""
    calls: list[list[str]] = []

    def worker() -> Worker:
        worker = Worker()

        @worker.job("bulk", batch=Batch(size=4, wait=9), timeout=100)
        async def bulk(jobs: list[Job]) -> None:
            calls.append([job.id for job in jobs])
            if "bad" in calls[-1]:
                await point("deadly")
            await asyncio.sleep(1)

        return worker

    async def scenario(simulation: Simulation) -> None:
        die(simulation, 3)
        await simulation.queue.enqueue_many([JobSpec("bulk", job_id=id_) for id_ in ("1", "2", "bad", "3")])
        simulation.start(worker(), env=ENV | {"MAX_ATTEMPTS": "3"})
        await simulation.finished()
        assert dead(simulation) == {"bad"}
        assert {line.fields["job_id"] for line in said(simulation)} >= {"bad"}

    simulate(scenario)
    assert calls[0] == ["1", "2", "bad", "3"]
    assert all(len(call) == 1 for call in calls[1:])
