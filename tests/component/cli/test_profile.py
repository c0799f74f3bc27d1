"""`wpool profile` with real handlers in a real process, on a machine that is kept busy."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from workerpool import ConfigurationError
from workerpool.runtime.lanes import Kind
from workerpool_operator.cli.profile.classify import Bound, Nature, classify
from workerpool_operator.cli.profile.run import Measured, Order, run

pytestmark = pytest.mark.component

PROGRAM = """
import asyncio, os, subprocess, sys, time
from workerpool import Worker
from workerpool_operator.cli.samples import burn

worker = Worker()

@worker.job("waits", timeout=60)
async def waits(job):
    await asyncio.sleep(0.05)
    await job.checkpoint({"at": 1})

@worker.job("blocks", timeout=60)
async def blocks(job):
    time.sleep(0.05)

@worker.job("waits-in-thread", timeout=60)
def waits_in_thread(job):
    time.sleep(0.05)

@worker.job("computes", timeout=60)
async def computes(job):
    burn(0.05)

@worker.job("computes-in-process", timeout=60, kind="cpu")
def computes_in_process(job):
    burn(0.05)

@worker.job("starts-a-process", timeout=60)
def starts_a_process(job):
    # Long beside the 0.05 s between two looks of subprocess at a process with a timeout: that is waiting.
    code = "import time\\nwhile time.process_time() < 0.4: pass"
    subprocess.run([sys.executable, "-S", "-c", code], check=True, timeout=60)

@worker.job("both", timeout=60)
async def both(job):
    await asyncio.sleep(0.04)
    burn(0.04)

@worker.job("fails", timeout=60)
async def fails(job):
    raise ValueError(job.payload["why"])

@worker.job("dies", timeout=60)
async def dies(job):
    if job.id.endswith("2"):
        os._exit(7)

@worker.job("never-ends", timeout=600)
async def never_ends(job):
    await asyncio.sleep(600 if job.id.endswith("2") else 0)

worker.run()
"""


@pytest.fixture(autouse=True)
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "trial_app.py").write_text(PROGRAM)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def busy_machine() -> Iterator[None]:
    """Two processes for each core that want all of it."""
    burners = [
        subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"]) for _ in range(2 * (os.cpu_count() or 1))
    ]
    yield
    for each in burners:
        each.kill()
        each.wait()


async def measured(job: str, *, runs: int = 5, stop: asyncio.Event | None = None, on_run: object = None) -> Measured:
    order = Order(program="trial_app:worker", type=job, payload={"why": "no"}, runs=runs)
    return await run(order, stop=stop or asyncio.Event(), on_run=on_run or (lambda _: None))  # type: ignore[arg-type]


def nature(found: Measured) -> Nature:
    assert not found.ended
    return classify(found.good, is_async=found.is_async)


@pytest.mark.usefixtures("busy_machine")
@pytest.mark.parametrize(
    ("job", "bound", "kind", "held"),
    [
        ("waits", Bound.IO, Kind.IO, "turns"),
        ("blocks", Bound.IO, Kind.THREAD, "blocks"),
        ("waits-in-thread", Bound.IO, Kind.THREAD, ""),
        ("computes", Bound.CPU, Kind.CPU, "blocks"),
        ("computes-in-process", Bound.CPU, Kind.CPU, ""),
        ("starts-a-process", Bound.CPU, Kind.CPU, ""),
        ("both", Bound.MIXED, Kind.CPU, "blocks"),
    ],
)
async def test_a_known_handler_is_told_right_on_a_busy_machine(job: str, bound: Bound, kind: Kind, held: str) -> None:
    found = nature(await measured(job))
    assert (found.bound, found.kind, found.blocks) == (bound, kind, {"blocks": True, "turns": False, "": None}[held])


async def test_runs_that_fail_are_told_with_what_they_raised() -> None:
    found = await measured("fails")
    assert not found.good
    assert found.samples[-1].error == "ValueError: no"


async def test_a_handler_that_ends_its_process_leaves_the_runs_before() -> None:
    found = await measured("dies")
    assert (len(found.samples), found.ended) == (2, "its process ended with status 7")


async def test_a_stop_keeps_what_was_measured() -> None:
    stop = asyncio.Event()
    found = await measured("never-ends", stop=stop, on_run=lambda done: stop.set() if done == 2 else None)
    assert found.stopped
    assert len(found.samples) == 2


async def test_no_such_handler_is_said() -> None:
    with pytest.raises(ConfigurationError, match="no handler for 'nothing'"):
        await measured("nothing")


def test_the_command_profiles_its_own_sample(tmp_path: Path) -> None:
    files = [f"--{name}={tmp_path / name}" for name in ("json", "csv", "slo")]
    command = [sys.executable, "-m", "workerpool_operator.cli", "profile", "--runs", "5", "--rate", "10", *files]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert ended.returncode == 0, ended.stderr
    figures = json.loads((tmp_path / "json").read_text())
    assert (figures["verdict"], figures["kind"], figures["blocks_event_loop"]) == ("I/O-bound", "io", False)
    assert figures["received_bytes"] > 0
    assert figures["sent_bytes"] > 0
    assert len((tmp_path / "csv").read_text().splitlines()) == 6
    assert "# Objectives of `http`" in (tmp_path / "slo").read_text()
