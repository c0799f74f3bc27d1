"""The process that answers HPAs is watched over: replaced when it ends or is stuck, ended with the operator.

Played by small programs that get the same sockets.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.waiting import until
from tests.unit.controller.test_metrics_feed import Scene
from workerpool_operator.controller import external_metrics
from workerpool_operator.controller.external_metrics import ExternalMetrics
from workerpool_operator.metrics import OperatorMetrics
from workerpool_operator.metrics_api.messages import Settings

SETTINGS = Settings(tls=Path("/nowhere"), host=None, port=1, server_name="metrics.svc", log_level="info")
PROGRAM = """
import os, signal, socket, sys, time
operator = socket.socket(fileno=int(sys.argv[1]))
def serve():
    operator.sendall(b'{{"serving": true, "counted": []}}\\n')
with open({starts!r}, "a") as starts:
    starts.write(f"{{os.getpid()}}\\n")
{body}
"""
SERVES = """
serve()
while operator.recv(65536):
    serve()
"""


class Bench:
    """A supervisor of a program, with short pauses."""

    def __init__(self, home: Path, body: str, *, give_up_seconds: float = 60.0) -> None:
        self.starts = home / "starts"
        program = home / "program.py"
        program.write_text(PROGRAM.format(starts=str(self.starts), body=body))
        self.metrics = OperatorMetrics()
        self.api = ExternalMetrics(
            SETTINGS,
            feed=lambda: Scene().feed,
            metrics=self.metrics,
            command=(sys.executable, "-S", "-E", str(program)),
            give_up_seconds=give_up_seconds,
        )

    @property
    def pids(self) -> list[int]:
        """Of the processes that were started, in order."""
        return [int(line) for line in self.starts.read_text().splitlines()] if self.starts.exists() else []

    @property
    def restarts(self) -> float | None:
        return self.metrics.registry.get_sample_value("workerpool_operator_external_metrics_restarts_total")


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(external_metrics, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(external_metrics, "LONGEST_PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(external_metrics, "BEAT_SECONDS", 0.01)


async def cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_it_is_ready_once_it_has_been_served_and_ends_with_the_operator(tmp_path: Path) -> None:
    bench = Bench(tmp_path, SERVES)
    assert not bench.api.ready
    running = asyncio.create_task(bench.api.run())
    await until(lambda: bench.api.ready, what="that it is served")
    await cancelled(running)
    [pid] = bench.pids
    assert not runs(pid)
    assert bench.restarts == 0


async def test_one_that_is_killed_is_replaced_and_counted(tmp_path: Path) -> None:
    bench = Bench(tmp_path, SERVES)
    running = asyncio.create_task(bench.api.run())
    await until(lambda: bench.api.ready, what="that it is served")
    os.kill(bench.pids[0], 9)
    await until(lambda: len(bench.pids) == 2, what="another process")
    assert bench.restarts == 1
    await cancelled(running)


async def test_one_that_is_stuck_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(external_metrics, "SILENT_SECONDS", 0.05)
    monkeypatch.setattr(external_metrics, "END_SECONDS", 0.05)
    bench = Bench(tmp_path, "serve()\ntime.sleep(600)")
    running = asyncio.create_task(bench.api.run())
    await until(lambda: len(bench.pids) >= 2, what="another process")
    assert not runs(bench.pids[0])
    await cancelled(running)
    assert not any(map(runs, bench.pids))


async def test_one_that_does_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(external_metrics, "END_SECONDS", 0.05)
    bench = Bench(tmp_path, SERVES + "time.sleep(600)")
    running = asyncio.create_task(bench.api.run())
    await until(lambda: bench.api.ready, what="that it is served")
    await cancelled(running)
    assert not runs(bench.pids[0])


async def test_the_operator_gives_up_when_nobody_serves_for_long(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "sys.exit(1)", give_up_seconds=0.6)
    with pytest.raises(RuntimeError, match=r"no process has served for 0\.6 s"):
        await bench.api.run()
    assert not bench.api.ready


async def test_it_gives_up_on_one_that_never_comes_to_serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(external_metrics, "END_SECONDS", 0.05)
    bench = Bench(tmp_path, "time.sleep(600)", give_up_seconds=0.5)
    with pytest.raises(RuntimeError, match="no process has served"):
        await bench.api.run()
    assert not any(map(runs, bench.pids))


async def test_one_that_is_half_started_when_it_gives_up_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[asyncio.subprocess.Process] = []
    start = asyncio.create_subprocess_exec

    async def slowly(*command: str, **options: Any) -> asyncio.subprocess.Process:
        started.append(await start(*command, **options))
        await asyncio.sleep(0.2)
        return started[-1]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", slowly)
    monkeypatch.setattr(external_metrics, "END_SECONDS", 0.05)
    with pytest.raises(RuntimeError, match="no process has served"):
        await Bench(tmp_path, "time.sleep(600)", give_up_seconds=0.1).api.run()
    [process] = started
    assert process.returncode is not None


async def test_one_that_is_on_its_way_out_when_it_gives_up_is_ended(tmp_path: Path) -> None:
    """It says that it goes, and does not: it is not left alone because nobody waits for it any more."""
    bench = Bench(tmp_path, "operator.close()\ntime.sleep(600)", give_up_seconds=0.4)
    with pytest.raises(RuntimeError, match="no process has served"):
        await bench.api.run()
    [pid] = bench.pids
    assert not runs(pid)


async def test_its_patience_is_for_the_time_without_one_that_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, timeout = [], asyncio.timeout

    def noted(delay: float | None) -> asyncio.Timeout:
        made.append(timeout(delay))
        return made[-1]

    bench = Bench(tmp_path, f"if os.path.exists({str(tmp_path / 'broken')!r}): sys.exit(1)" + SERVES)
    with monkeypatch.context() as patched:
        patched.setattr(asyncio, "timeout", noted)
        running = asyncio.create_task(bench.api.run())
        await asyncio.sleep(0)
    [patience] = made
    await until(lambda: bench.api.ready, what="that it is served")
    assert patience.when() is None
    (tmp_path / "broken").touch()
    os.kill(bench.pids[0], 9)
    await until(lambda: len(bench.pids) >= 2, what="another process")
    ends = patience.when()
    assert ends is not None
    await until(lambda: len(bench.pids) >= 4, what="more of them")
    assert patience.when() == ends
    await cancelled(running)
