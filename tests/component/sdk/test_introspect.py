"""A look inside a worker that runs: `python -m workerpool.introspect` beside it."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.waiting import until
from tests.support.workers import WorkerProcess
from workerpool import Queue
from workerpool.introspect import __main__ as client
from workerpool.introspect.door import PREFIX, open_door
from workerpool.introspect.subject import Subject

pytestmark = [
    pytest.mark.component,
    pytest.mark.skipif(sys.platform != "linux", reason="abstract sockets are Linux's"),
]

PROGRAM = Path(__file__).with_name("looked_at_program.py")
SECRET = "nobody-may-see-this"
Look = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'jobs.db'}"


@pytest.fixture
def worker(url: str, tmp_path: Path) -> Iterator[WorkerProcess]:
    env = {"QUEUE": url, "END": str(tmp_path / "end"), "MAX_WORKERS": "12"}
    worker = WorkerProcess(PROGRAM, env, log=tmp_path / "worker.log")
    yield worker
    (tmp_path / "end").touch()
    worker.end()


@pytest.fixture
def look(worker: WorkerProcess) -> Look:
    """Ask, and give what this worker and its children answer: others of this machine answer, too."""

    def look(*words: str) -> list[dict[str, Any]]:
        command = [sys.executable, "-m", "workerpool.introspect", *words]
        said = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        answers = [json.loads(line) for line in said.stdout.splitlines()]
        return [one for one in answers if worker.pid in {one["process"]["pid"], one["process"]["parent"]}]

    return look


async def put(url: str, *types: str) -> None:
    async with Queue.connect(url) as queue:
        for number, type_ in enumerate(types):
            await queue.enqueue(type_, {"card": SECRET}, job_id=f"{type_}-{number}")


def stack_of(dump: dict[str, Any], job_id: str, kind: str) -> dict[str, Any]:
    found: dict[str, Any]
    [found] = [one for one in dump["stacks"] if one["job_id"] == job_id and one["kind"] == kind]
    return found


def functions(stack: dict[str, Any]) -> list[str]:
    return [line["function"] for line in stack["lines"]]


async def test_a_dump_tells_of_every_job_where_it_is_and_what_it_waits_for(url: str, look: Look) -> None:
    await put(url, "calls", "calls", "locks", "locks", "blocks", "computes")
    dumps: list[dict[str, Any]] = []

    def all_run() -> bool:
        dumps[:] = sorted(look("dump"), key=lambda one: str(one["process"]["role"]), reverse=True)
        if len(dumps) != 2 or len(dumps[0]["jobs"]) != 6 or not any(one["job_id"] for one in dumps[1]["stacks"]):
            return False
        main, child = dumps
        return (  # now and then it looks whether it is over; and who is at work may not have begun it
            any(stack["job_id"] == "calls-0" and stack["waits_for"] == "time" for stack in main["stacks"])
            and any(stack["job_id"] == "blocks-4" and "blocks" in functions(stack) for stack in main["stacks"])
            and any(stack["job_id"] == "computes-5" and "computes" in functions(stack) for stack in child["stacks"])
        )

    await until(all_run, what="six jobs at work")
    main, child = dumps
    jobs = {row["job_id"]: row for row in main["jobs"]}
    assert jobs.keys() == {"calls-0", "calls-1", "locks-2", "locks-3", "blocks-4", "computes-5"}
    assert {row["lane"] for row in jobs.values()} == {"io", "thread", "cpu"}
    assert {row["state"] for row in jobs.values()} == {"runs"}
    assert all(0 < row["age_seconds"] < 60 and row["timeout_seconds"] == 60 for row in jobs.values())
    assert stack_of(main, "calls-1", "task")["waits_for"] == "an endpoint's turn"
    assert stack_of(main, "locks-3", "task")["waits_for"] == "a lock"
    assert stack_of(child, "computes-5", "thread")["state"] == "computes"
    [crm] = main["endpoints"]
    assert ([held["job_id"] for held in crm["held_by"]], crm["waiting"]) == (["calls-0"], 1)
    assert SECRET not in json.dumps(dumps)


async def test_a_worker_whose_event_loop_is_blocked_tells_by_what(url: str, worker: WorkerProcess, look: Look) -> None:
    await put(url, "blocks_the_loop")
    blocked: list[list[str]] = []

    def is_blocked() -> bool:
        blocked[:] = [
            functions(stack)
            for dump in look("dump")
            for stack in dump["stacks"]
            if stack["kind"] == "thread" and "blocks_the_loop" in functions(stack)
        ]
        return bool(blocked)

    await until(is_blocked, what="the stack of the handler that blocks")
    assert worker.alive


async def test_a_profile_finds_where_the_cpu_time_goes(url: str, look: Look) -> None:
    await put(url, "computes")
    await until(lambda: len(look("dump")) == 2, what="the process of the cpu lane")

    def share() -> float:
        profiles = look("profile", "--seconds", "1")
        stacks = [(stack, weight) for one in profiles for stack, weight in one["stacks"].items()]
        spent = sum(weight for _, weight in stacks)
        assert spent <= 1.1e6 * sum(one["cpu_seconds"] for one in profiles), "no more than was used"
        return sum(weight for stack, weight in stacks if ";spin (" in stack) / spent if spent else 0

    await until(lambda: share() > 0.5, what="most of the CPU time in the hot function")


async def test_a_profile_of_the_time_that_passes_finds_what_jobs_wait_for(url: str, look: Look) -> None:
    await put(url, "locks", "locks")
    await until(lambda: any(len(one["jobs"]) == 2 for one in look("dump")), what="two jobs at work")
    [profile] = look("profile", "--seconds", "0.5", "--mode", "wall")
    weights: Counter[str] = Counter()
    for stack, weight in profile["stacks"].items():
        if stack.startswith("job locks;"):
            weights[stack.rpartition(";")[2].partition(" ")[0]] += weight
    # The one that has the lock looks now and then whether it is over: a sample may find it at that.
    assert {function for function, _ in weights.most_common(2)} == {"Lock.acquire", "sleep"}


def test_who_has_other_process_ids_or_is_another_user_learns_nothing() -> None:
    """A container beside the worker shares its network, and so the name of the socket."""
    if os.geteuid() != 0:
        pytest.skip("only root can play another container, and another user")
    command = [sys.executable, "-m", "workerpool.introspect", "dump"]
    with open_door(lambda: Subject({"role": "worker"})):
        for other in (["unshare", "--pid", "--fork", "--mount-proc"], ["setpriv", "--reuid=65534", "--clear-groups"]):
            said = subprocess.run([*other, *command], capture_output=True, text=True, check=False, timeout=60)
            assert str(os.getpid()) not in [
                str(json.loads(line)["process"]["pid"]) for line in said.stdout.splitlines()
            ], other


def test_a_question_that_makes_no_sense_is_told_so_and_the_next_one_is_answered() -> None:
    with open_door(lambda: Subject({"role": "worker"})):
        [door] = [one for one in client._doors() if one.startswith(f"{PREFIX}{os.getpid()}/")]
        assert "does not know" in (client._ask(door, {"want": "the moon"}) or {})["error"]
        wrong = {"want": "profile", "seconds": 1e9, "per_second": 1, "mode": "cpu"}
        assert "up to 600 s" in (client._ask(door, wrong | {"seconds": 1000}) or {})["error"]
        assert (client._ask(door, {"want": "dump"}) or {})["process"]["pid"] == os.getpid()
    assert not [one for one in client._doors() if one.startswith(f"{PREFIX}{os.getpid()}/")], "closed with the worker"
