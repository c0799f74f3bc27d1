"""What it costs to start the reference worker: CPU from exec until it is ready, on a Redis of its own on this machine.

| Figure | Means |
|---|---|
| `cpu_to_port_seconds` | CPU of the process, user and system, from exec until kubelet could connect to it |
| `cpu_to_ready_seconds` | the same until it says that it is ready |
| `cpu_after_ready_seconds` | CPU in the second after that: what is put off until then, and the first takes |
| `clock_to_ready_seconds` | seconds of the clock until it is ready: of a quiet machine only |
| `modules` | modules that are loaded when the worker is about to run |

Medians of `--runs` starts after one that is not counted. Twelve workers that wake together on two cores take six
times the CPU of one until they are ready, so that is the figure to watch. `--python` names the interpreter of another
environment, such as one with only what the image installs:

    python3 -m venv image && image/bin/pip install --no-deps -r workers/reference/requirements.lock
    uv run python -m bench.start --python image/bin/python [--runs 15] [--json FILE]
"""

import argparse
import os
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench.figures import tell
from bench.worker import redis_server

ROOT = Path(__file__).resolve().parents[1]
SOURCES = os.pathsep.join(str(ROOT / "workers" / path) for path in ("src", "reference/common", "reference/io"))
HEALTH_PORT, METRICS_PORT = 8080, 8000
_CPU_CLOCK = 2  # CPUCLOCK_SCHED of Linux' <linux/posix-timers.h>


def main() -> None:
    """Measure, print, and write JSON where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=sys.executable, help="interpreter of the environment to measure")
    parser.add_argument("--path", default=SOURCES, help="PYTHONPATH: where the SDK and the worker are")
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    for port in (HEALTH_PORT, METRICS_PORT):
        if _listens(port):
            raise SystemExit(f"something listens on port {port}, which the reference worker wants")
    with redis_server() as url:
        env = environment(url, arguments.path)
        runs = [start_once(arguments.python, env) for _ in range(arguments.runs + 1)][1:]
    figures = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    figures["modules"] = modules(arguments.python, env)
    tell(figures, arguments.json)


def environment(url: str, path: str) -> dict[str, str]:
    """What the image and the operator give to a worker. Nobody listens where the collector should be."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": path,
        "PYTHONUNBUFFERED": "1",
        "WORKERPOOL_NAME": "pool",
        "WORKERPOOL_NAMESPACE": "bench",
        "WORKERPOOL_VERSION": "v1",
        "WORKERPOOL_POD": "pod-1",
        "WORKERPOOL_COLLECTOR": "127.0.0.1:9",
        "QUEUE_MAIN_URL": url,
        "QUEUE_MAIN_STREAM": "start",
    }


def start_once(python: str, env: Mapping[str, str]) -> dict[str, float]:
    """Start a worker, wait until it says that it is ready, look at its CPU then and a second later."""
    began = time.perf_counter()
    with _running([python, "-m", "reference_io"], env) as process:
        cpu = _cpu_clock(process.pid)
        _wait_port(process)
        to_port = cpu()
        _wait_ready(process)
        clock, to_ready = time.perf_counter() - began, cpu()
        with urllib.request.urlopen(f"http://127.0.0.1:{HEALTH_PORT}/ready", timeout=5) as answer:
            if answer.status != 200:
                raise SystemExit(f"/ready answers {answer.status}")
        time.sleep(1)
        after = cpu() - to_ready
    return {
        "cpu_to_port_seconds": to_port,
        "cpu_to_ready_seconds": to_ready,
        "cpu_after_ready_seconds": after,
        "clock_to_ready_seconds": clock,
    }


def modules(python: str, env: Mapping[str, str]) -> int:
    """How many modules the worker's program loads before it runs."""
    code = "import sys, reference_io.worker; print(len(sys.modules))"
    return int(subprocess.check_output([python, "-c", code], env=env, text=True))


@contextmanager
def _running(command: list[str], env: Mapping[str, str]) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _wait_port(process: "subprocess.Popen[str]") -> None:
    while process.poll() is None and not _listens(HEALTH_PORT):
        time.sleep(0.001)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _wait_ready(process: "subprocess.Popen[str]") -> None:
    assert process.stdout is not None
    said: list[str] = []
    for line in process.stdout:
        said.append(line)
        if '"event": "ready"' in line:
            return
    raise SystemExit("the worker does not come up:\n" + "".join(said))


def _cpu_clock(pid: int) -> Callable[[], float]:
    """The CPU seconds of all threads of a process, ended ones too, exactly: /proc counts in hundredths.

    The clock's number is built as clock_getcpuclockid(3) does, which Python does not offer.
    """
    return lambda: time.clock_gettime((~pid << 3) | _CPU_CLOCK)


if __name__ == "__main__":
    main()
