"""One JSON object a line."""

import asyncio
import json
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider

from workerpool.telemetry import logs


class Lines(logging.Handler):
    """What was written."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logs.JsonFormatter())
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))

    @property
    def last(self) -> dict[str, Any]:
        line: dict[str, Any] = json.loads(self.lines[-1])
        return line


@contextmanager
def handled_by(logger: logging.Logger, *handlers: logging.Handler, level: int) -> Iterator[None]:
    """Not by setting attributes: a logger remembers which levels it writes."""
    before, logger.handlers = logger.handlers, list(handlers)
    level_before = logger.level
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.handlers = before
        logger.setLevel(level_before)


@pytest.fixture
def written() -> Iterator[Lines]:
    lines = Lines()
    with handled_by(logging.getLogger("workerpool"), lines, level=logging.INFO):
        yield lines


def test_an_event_and_its_fields_are_one_object(written: Lines) -> None:
    logs.Log().warning('cannot "take"\njobs', queue="main", detail=OSError("no"))
    [line] = written.lines
    assert "\n" not in line
    said = written.last
    assert said.pop("timestamp").endswith("Z")
    assert said == {
        "event": 'cannot "take"\njobs',
        "level": "warning",
        "logger": "workerpool",
        "queue": "main",
        "detail": "OSError('no')",
    }


def test_what_is_below_the_level_is_not_written(written: Lines) -> None:
    logs.Log().debug("detail")
    assert written.lines == []


@pytest.mark.parametrize("say", [logs.Log.error, logs.Log.warning])
def test_an_error_is_written_with_its_traceback(written: Lines, say: Callable[..., None]) -> None:
    with pytest.raises(ValueError, match="grün") as raised:
        int("grün")
    say(logs.Log(), "failed", exc_info=raised.value)
    assert "ValueError: invalid literal" in written.last["exception"]
    assert "test_logs.py" in written.last["exception"]


async def test_what_is_bound_in_a_task_is_on_its_lines_and_on_no_others(written: Lines) -> None:
    async def job(number: int) -> None:
        logs.bind(job_id=number)
        await asyncio.sleep(0)
        logs.Log().info("at work")

    await asyncio.gather(*(asyncio.create_task(job(number)) for number in range(3)))
    assert [json.loads(line)["job_id"] for line in written.lines] == [0, 1, 2]
    logs.Log().info("idle")
    assert "job_id" not in written.last


def test_lines_of_a_programs_own_loggers_have_the_same_form(written: Lines) -> None:
    logging.getLogger("workerpool.user").info("%d of %d", 1, 2, extra={"url": "https://example.org"})
    assert (written.last["event"], written.last["url"]) == ("1 of 2", "https://example.org")


def test_lines_within_a_span_have_its_ids(written: Lines) -> None:
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("test")
    logs.Log().info("before")
    assert "trace_id" not in written.last
    with tracer.start_as_current_span("work") as span:
        logs.Log().info("at work")
    context = span.get_span_context()
    assert (written.last["trace_id"], written.last["span_id"]) == (
        f"{context.trace_id:032x}",
        f"{context.span_id:016x}",
    )


def test_a_program_that_configured_logging_keeps_what_it_chose() -> None:
    root, mine = logging.getLogger(), logging.StreamHandler(sys.stderr)
    with handled_by(root, mine, level=logging.ERROR):
        copy_context().run(logs.configure, pool="", version="", worker="")
        assert (root.handlers, root.level) == ([mine], logging.ERROR)


@pytest.mark.parametrize(("asked", "level"), [("debug", logging.DEBUG), ("", logging.INFO), ("loud", logging.INFO)])
def test_the_level_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch, asked: str, level: int) -> None:
    root = logging.getLogger()
    monkeypatch.setenv("LOG_LEVEL", asked)
    with handled_by(root, level=logging.WARNING):
        copy_context().run(logs.configure, pool="", version="", worker="")
        assert root.level == level
        assert isinstance(root.handlers[0].formatter, logs.JsonFormatter)
