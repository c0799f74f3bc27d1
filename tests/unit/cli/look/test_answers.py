"""What a worker tells is shown without what the runtime does by itself."""

import io
import json
from typing import Any

import pytest
from rich.console import Console

from workerpool_operator.cli.look import answers

PROCESS = {"pid": 7, "role": "worker", "pool": "thumbs", "version": "v3", "worker": "pod-1"}
PROCESS |= {"resident_bytes": 50 * 2**20, "open_files": 12, "open_files_allowed": 1024}
JOB = {"queue": "main", "job_id": "j-1", "type": "resize", "attempt": 2, "tenant": "", "state": "runs", "lane": "io"}


def line(file: str, function: str, code: str = "") -> dict[str, Any]:
    return {"file": file, "line": 3, "function": function, "code": code}


LOOP = [line("program.py", "<module>", "worker.run()"), line("asyncio/base_events.py", "BaseEventLoop.run_forever")]


def stack(kind: str, lines: list[dict[str, Any]], *, job_id: str = "", waits_for: str = "") -> dict[str, Any]:
    return {
        "kind": kind,
        "name": "it",
        "job_id": job_id,
        "state": "waits",
        "waits_for": waits_for,
        "lines": lines,
    }


def dump(*stacks: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"process": PROCESS, "jobs": [], "endpoints": [], "stacks": list(stacks), **fields}


def shown(*found: dict[str, Any], everything: bool = False) -> str:
    console = Console(file=io.StringIO(), width=120)
    console.print(answers.shown(found, everything=everything))
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def test_a_job_is_told_with_its_age_and_what_it_waits_for() -> None:
    handler = [line("workerpool/runtime/jobs.py", "Jobs._run_job"), line("program.py", "resize", "async with lock:")]
    text = shown(
        dump(
            stack("task", handler, job_id="j-1", waits_for="a lock"),
            jobs=[JOB | {"age_seconds": 61.04, "timeout_seconds": 60.0}],
            endpoints=[
                {"name": "crm", "at_most": 2, "held_by": [{"job_id": "j-9", "seconds": 30.0}], "waiting": 4},
            ],
        )
    )
    assert "worker, process 7  thumbs v3 pod-1  50 MiB, 12 of 1024 files" in text
    assert "61.0 s" in text
    assert "60 s" in text
    assert "endpoint crm: 1 of 2 in use by j-9 for 30.0 s, 4 wait" in text
    assert "task it, job j-1: waits for a lock\n  program.py:3 resize\n      async with lock:" in text
    assert "_run_job" not in text


def test_what_only_waits_for_work_is_counted_and_not_shown() -> None:
    idle = stack("thread", [*LOOP, line("selectors.py", "EpollSelector.select")])
    text = shown(dump(idle))
    assert "1 tasks and threads of the runtime itself" in text
    assert "run_forever" not in text
    assert "run_forever" in shown(dump(idle), everything=True)


def test_a_handler_that_blocks_the_loop_is_shown_from_itself_on() -> None:
    blocked = stack("thread", [*LOOP, line("asyncio/events.py", "Handle._run"), line("program.py", "resize")])
    text = shown(dump(blocked))
    assert "program.py:3 resize" in text
    assert "worker.run()" not in text


def test_the_worker_comes_before_the_processes_of_its_lane() -> None:
    child = {**dump(), "process": PROCESS | {"pid": 3, "role": "cpu lane"}}
    found = answers.processes("".join(json.dumps(one) + "\n" for one in (child, dump())))
    assert [one["process"]["role"] for one in found] == ["worker", "cpu lane"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("no JSON", "Expecting value"),
        ('["process"]', "not the answers of a worker"),
        ('{"error": "ValueError: too much"}', "could not answer: ValueError: too much"),
    ],
)
def test_an_answer_that_is_none_is_told(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        answers.processes(text)
