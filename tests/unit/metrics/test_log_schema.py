"""One schema for the lines of operator, collector and workers: who ships or reads them knows one."""

import io
import json
import logging
import re
from collections.abc import Callable, Iterator
from contextvars import copy_context
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import structlog

from workerpool.broker import Taken
from workerpool.runtime.execution import about_job
from workerpool.telemetry import logs as worker_logs
from workerpool_operator import logs

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "reference" / "logs.md"
TEXT = {"type": "string"}
SCHEMA = {
    "type": "object",
    "required": ["timestamp", "level", "logger", "event"],
    "properties": {
        "timestamp": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$"},
        "level": {"enum": ["debug", "info", "warning", "error", "critical"]},
        "attempt": {"type": "integer", "minimum": 1},
        **dict.fromkeys(("logger", "event", "namespace", "pool", "version", "worker", "queue"), TEXT),
        **dict.fromkeys(("job_id", "job_type", "tenant", "exception"), TEXT),
        "trace_id": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
        "span_id": {"type": "string", "pattern": "^[0-9a-f]{16}$"},
    },
}
JOB = Taken(token="1", job_id="7", type="resize", payload=b"{}", attempt=2, waited=0.0, tenant="acme")


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """What is written inside the test; the process's own configuration comes back afterwards."""
    found = io.StringIO()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield found
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def by_operator(stream: io.StringIO) -> None:
    """The collector's are made by the same code, with its namespace on each line."""
    logs.configure(stream=stream, namespace="media")
    with logs.bound(pool="thumbs"):
        structlog.get_logger("workerpool_operator.test").info("scaled", desired=3)
        structlog.get_logger("workerpool_operator.test").error("failed", exc_info=ValueError("two\nlines"))
        logging.getLogger("some.library").warning("lost %s", "it")


def by_worker(stream: io.StringIO) -> None:
    """Of the SDK: while a job runs, and of a library."""

    def write() -> None:
        worker_logs.bind(pool="thumbs", version="3f2a9c1d", worker="thumbs-1", **about_job(JOB))
        worker_logs.Log().warning("job failed, will be retried", exc_info=ValueError("two\nlines"), queue="main")
        logging.getLogger("some.library").warning("lost %s", "it")

    handler = logging.StreamHandler(stream)
    handler.setFormatter(worker_logs.JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    copy_context().run(write)


def by_bare_worker(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one to copy from that is written without the SDK."""
    monkeypatch.setattr("sys.stdout", stream)
    for name in ("WORKERPOOL_NAME", "WORKERPOOL_VERSION", "WORKERPOOL_POD"):
        monkeypatch.setenv(name, "x")
    source = (ROOT / "workers" / "reference" / "bare" / "worker.py").read_text("utf-8")
    start = source.index("def say(")
    names: dict[str, Any] = {"POOL": "thumbs", "VERSION": "v", "POD": "thumbs-1"}
    exec("import json, sys, time\n" + source[start : source.index("\n\n\n", start)], names)
    names["say"]("cannot settle", level="warning", entry="1-0", error="gone")


@pytest.mark.parametrize("write", [by_operator, by_worker])
def test_lines_are_of_one_schema(stream: io.StringIO, write: Callable[[io.StringIO], None]) -> None:
    """Our own lines, those of libraries, and those with a traceback."""
    write(stream)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert len(lines) >= 2
    for line in lines:
        jsonschema.validate(line, SCHEMA)
        assert line["pool"] == "thumbs"
    assert any(line.get("exception", "").endswith("ValueError: two\nlines") for line in lines)


def test_a_worker_without_the_sdk_writes_them_too(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    by_bare_worker(stream, monkeypatch)
    jsonschema.validate(json.loads(stream.getvalue()), SCHEMA)


def test_lines_about_a_job_name_it_and_its_tenant(stream: io.StringIO) -> None:
    by_worker(stream)
    first = json.loads(stream.getvalue().splitlines()[0])
    wanted = {"job_id": "7", "job_type": "resize", "attempt": 2, "tenant": "acme", "worker": "thumbs-1"}
    assert first.items() >= wanted.items()


def test_the_page_has_every_key_of_the_schema() -> None:
    keys = re.findall(r"^\| (`[^|]+`) \|", PAGE.read_text("utf-8"), re.MULTILINE)
    told = {name for cell in keys for name in re.findall(r"`([a-z_]+)`", cell)}
    assert told == set(SCHEMA["properties"])
