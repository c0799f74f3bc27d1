"""What a start loads, by name: many workers start at once, and each library is paid for by all of them."""

import subprocess
import sys
from pathlib import Path

import pytest

REFERENCE = Path(__file__).parents[3] / "workers" / "reference"

CLIENTS_AND_MESSAGES = ("aiohttp", "httpx", "pydantic", "urllib.request", "http.client")
SERVERS = ("http.server", "prometheus_client")
GUARDS = (
    "workerpool.guards",
    "workerpool.guards.rate",
    "workerpool.guards.adaptive",
    "workerpool.guards.breaker",
    "workerpool.guards.retries",
)
LATER = ("workerpool.cache", "workerpool.testing")
OTHER_BROKERS = (
    "sqlite3",
    "workerpool.broker._memory",
    "workerpool.broker._sqlite",
    "redis",
    "nats",
    "aiokafka",
    "asyncpg",
    "pamqp",
)
TRACES = ("opentelemetry", "requests", "workerpool.telemetry.tracing.spans")
CONVENIENCES = (
    "structlog",
    "uuid",
    "psutil",
    "rich",
    "typer",
    "kubernetes",
    "email",
    "tempfile",
    "importlib.resources",
)


def loaded(code: str, *suspects: str) -> list[str]:
    """Which of these modules a fresh interpreter has after it ran the code."""
    folders = [str(REFERENCE / name) for name in ("io", "common")]
    code = f"import sys\nsys.path[:0] = {folders!r}\n{code}\n"
    code += f"print(*[name for name in {suspects!r} if name in sys.modules])"
    said = subprocess.check_output([sys.executable, "-c", code], text=True)
    return said.split()


@pytest.mark.parametrize(
    "suspects",
    [CLIENTS_AND_MESSAGES, SERVERS, GUARDS, LATER, OTHER_BROKERS, TRACES, CONVENIENCES],
    ids=lambda names: names[0],
)
def test_a_worker_that_is_about_to_run_has_loaded_what_it_needs_to_take_jobs(suspects: tuple[str, ...]) -> None:
    code = "import reference_io.worker, workerpool.broker._redis"
    assert loaded(code, *suspects) == []


def test_before_a_worker_listens_it_loads_next_to_nothing() -> None:
    """Kubelet's first question comes a hundredth of a second later."""
    heavy = ("typing", "enum", "re", "collections", "contextlib", "signal", "socket", "threading")
    code = f"import sys\nsys.path.insert(0, {str(REFERENCE.parent / 'src')!r})\nfrom workerpool import run\n"
    code += f"print(*[name for name in ('workerpool._early', *{heavy!r}) if name in sys.modules])"
    assert subprocess.check_output([sys.executable, "-S", "-c", code], text=True).split() == ["workerpool._early"]


def test_the_reference_worker_and_its_broker_are_what_is_looked_at() -> None:
    """Else the test above would hold for a worker that is not there."""
    code = "import reference_io.worker, workerpool.broker._redis"
    names = ("reference_io.fetch", "workerpool.runtime.engine", "hiredis")
    assert loaded(code, *names) == list(names)


def test_the_port_for_kubelet_is_open_before_anything_large_is_loaded() -> None:
    suspects = ("asyncio", "ssl", "logging", "dataclasses", "inspect", "json", "workerpool._worker")
    assert loaded("import workerpool; workerpool.run", *suspects) == []
