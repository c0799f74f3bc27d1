"""`wpool sweep` against a local server whose capacity is known."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.component

LIMITS = [1, 2, 4, 6, 8, 12]


@pytest.mark.timeout(400)
async def test_the_knee_of_a_known_server_is_found_within_one_step(tmp_path: Path) -> None:
    """At 4 x 33 requests per second the caller computes so little that a busy machine does not become the limit."""
    options = ["--capacity", "4", "--seconds", "0.03", "--repeats", "2", "--price", "0.1"]
    files = [f"--{name}={tmp_path / name}" for name in ("json", "csv")] + [f"--plot={tmp_path / 'sweep.png'}"]
    command = ["sweep", "--limits", ",".join(map(str, LIMITS)), *options, *files]
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "workerpool_operator.cli", *command)
    assert await process.wait() == 0
    figures = json.loads((tmp_path / "json").read_text())
    assert abs(LIMITS.index(figures["knee"]) - LIMITS.index(4)) <= 1
    levels = {(each["strategy"], each["limit"]): each for each in figures["levels"]}
    # Naive at 12 stands in line for two turns of the server, bounded at 4 for none.
    assert levels["naive", 12]["p50_s"] > levels["bounded", 4]["p50_s"]
    assert (tmp_path / "sweep.png").stat().st_size > 10_000


def test_ctrl_c_reports_what_was_measured(tmp_path: Path) -> None:
    file = tmp_path / "sweep.json"
    command = [sys.executable, "-m", "workerpool_operator.cli", "sweep", "--limits", "1,2", "--repeats", "50"]
    shown = os.environ | {"FORCE_COLOR": "1"}  # progress is for terminals
    command += ["--json", str(file)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=shown, start_new_session=True) as process:
        assert process.stderr is not None
        seen = b""
        while b"naive at 2" not in seen:
            more = os.read(process.stderr.fileno(), 1000)
            assert more, seen
            seen += more
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        seen += process.stderr.read()
        assert process.wait(timeout=60) == 130
    assert b"Traceback" not in seen
    figures = json.loads(file.read_text())
    assert figures["stopped"]
    assert {"naive", "bounded", "batched"} <= {each["strategy"] for each in figures["levels"]}
