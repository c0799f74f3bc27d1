"""`wpool bench` with real threads and processes."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.component, pytest.mark.timeout(400)]


def wpool(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "workerpool_operator.cli", "bench", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)


def test_the_sample_that_waits_is_io_bound_in_every_mode(tmp_path: Path) -> None:
    ended = wpool(
        "--jobs", "4", "--reps", "2", "--csv", "b.csv", "--json", "b.json", "--plot", "b.png", folder=tmp_path
    )
    assert ended.returncode == 0, ended.stderr
    rows = list(csv.DictReader((tmp_path / "b.csv").read_text().splitlines()))
    assert [row["mode"] for row in rows] == ["sequential", "threaded", "asyncio", "process"]
    figures = json.loads((tmp_path / "b.json").read_text())
    assert figures["verdict"] == "I/O-bound"
    assert len(figures["seconds"]["process"]) == 2
    # Four jobs of 50 ms, one after the other.
    assert min(figures["seconds"]["sequential"]) >= 0.2
    assert (tmp_path / "b.png").stat().st_size > 10_000


def test_the_sample_that_computes_is_cpu_bound(tmp_path: Path) -> None:
    ended = wpool("--sample", "compute", "--jobs", "2", "--reps", "3", "--json", "b.json", folder=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert json.loads((tmp_path / "b.json").read_text())["verdict"] == "CPU-bound"


APP = """
import time
from workerpool import Worker

worker = Worker()

@worker.job("naps", timeout=60)
def naps(job):
    time.sleep(job.payload["seconds"])
"""


def test_jobs_that_have_become_slower_are_told_by_the_exit_code(tmp_path: Path) -> None:
    """Three times slower: beyond anything that a busy machine does to the fastest of five repetitions."""
    (tmp_path / "app.py").write_text(APP)
    common = ("app:worker", "naps", "--jobs", "2", "--reps", "5", "--payload")
    assert wpool(*common, '{"seconds": 0.1}', "--json", "base.json", folder=tmp_path).returncode == 0
    slower = wpool(*common, '{"seconds": 0.3}', "--compare", "base.json", folder=tmp_path)
    assert slower.returncode == 1, slower.stdout + slower.stderr
    assert "sequential: 0.2" in slower.stdout
    assert "REGRESSED" in slower.stdout
    faster = wpool(*common, '{"seconds": 0.01}', "--compare", "base.json", folder=tmp_path)
    assert faster.returncode == 0, faster.stdout + faster.stderr
