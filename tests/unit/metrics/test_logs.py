"""Logs: one JSON object a line, whoever writes it."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from workerpool_operator import logs


@pytest.fixture
def lines() -> Iterator[Any]:
    """What is logged inside the test, as objects; the process's own configuration comes back afterwards."""
    stream = io.StringIO()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    libraries = {name: logging.getLogger(name) for name in ("aiohttp.access", "kopf", "asyncio")}
    levels = {name: library.level for name, library in libraries.items()}
    logs.configure(level="INFO", stream=stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, library in libraries.items():
        library.setLevel(levels[name])
    structlog.reset_defaults()


def test_our_own_lines_carry_what_was_bound(lines: Any) -> None:
    with logs.bound(namespace="media", pool="thumbs"):
        structlog.stdlib.get_logger("workerpool_operator.test").info("scaled", desired=3)
    (line,) = lines()
    assert line["event"] == "scaled"
    assert (line["namespace"], line["pool"], line["desired"]) == ("media", "thumbs", 3)
    assert line["level"] == "info"
    assert line["logger"] == "workerpool_operator.test"
    assert line["timestamp"].endswith("Z")


def test_a_librarys_lines_look_the_same(lines: Any) -> None:
    with logs.bound(pool="thumbs"):
        logging.getLogger("some.library").warning("lost %s", "it", extra={"attempt": 2})
    (line,) = lines()
    assert (line["event"], line["attempt"], line["pool"], line["level"]) == ("lost it", 2, "thumbs", "warning")


def test_kopf_lines_name_their_object(lines: Any) -> None:
    reference = {"namespace": "media", "kind": "WorkerPool", "name": "thumbs", "uid": "1"}
    logging.getLogger("kopf.objects").warning("odd", extra={"k8s_ref": reference, "k8s_skip": True})
    (line,) = lines()
    assert (line["namespace"], line["object"]) == ("media", "WorkerPool/thumbs")
    assert not {"k8s_ref", "k8s_skip"} & set(line)


def test_an_error_keeps_its_traceback_inside_the_line(lines: Any) -> None:
    error = ValueError("two\nlines")
    structlog.stdlib.get_logger("workerpool_operator.test").error("failed", exc_info=error)
    (line,) = lines()
    assert line["exception"].endswith("ValueError: two\nlines")


def test_what_repeats_on_every_event_is_left_out(lines: Any) -> None:
    logging.getLogger("kopf.objects").info("Handler succeeded.")
    logging.getLogger("aiohttp.access").info("GET /healthz")
    assert lines() == []


def test_a_level_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="LOUD"):
        logs.configure(level="LOUD", stream=io.StringIO())
