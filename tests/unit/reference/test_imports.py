"""What the workers' libraries cost is paid when a job needs them, not by each start."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

REFERENCE = Path(__file__).parents[3] / "workers" / "reference"
LIBRARIES = ("PIL", "requests", "httpx", "http.server", "http.client")
ENVIRONMENT = {"BLOBS_URL": "http://store:8080"}


def loaded(name: str, *modules: str) -> list[str]:
    """Which of the libraries a fresh interpreter has after it imported modules of a worker."""
    path = os.pathsep.join(str(REFERENCE / folder) for folder in ("common", name))
    imports = ", ".join(f"reference_{name}.{module}" for module in modules)
    code = f"import sys, {imports}; print(*[name for name in {LIBRARIES!r} if name in sys.modules])"
    env = {**os.environ, **ENVIRONMENT, "PYTHONPATH": path}
    return subprocess.check_output([sys.executable, "-c", code], text=True, env=env).split()


@pytest.mark.parametrize("name", ["cpu", "hybrid", "threads"])
def test_a_worker_that_is_about_to_run_has_loaded_no_library(name: str) -> None:
    assert loaded(name, "worker") == []


def test_a_library_that_is_loaded_is_seen() -> None:
    """Else the test above would hold for anything."""
    assert loaded("cpu", "worker", "draw") == ["PIL"]


def test_a_worker_without_a_store_says_so_before_it_takes_a_job() -> None:
    path = os.pathsep.join(str(REFERENCE / folder) for folder in ("common", "cpu"))
    code = "import workerpool; workerpool.run('reference_cpu.worker:worker', health_port=0)"
    env = {**os.environ, "PYTHONPATH": path, "QUEUE_MAIN_URL": "sqlite:///jobs.db", "BLOBS_URL": ""}
    ended = subprocess.run([sys.executable, "-c", code], check=False, text=True, env=env, capture_output=True)
    assert ended.returncode == 2
    assert "BLOBS_URL names no store" in ended.stdout
