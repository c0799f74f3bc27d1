"""Structured logs: one JSON object a line, with pool, version, worker, and the job while one runs, and its trace.

The keys are those of the operator's and the collector's lines (`workerpool_operator.logs`); docs/reference/logs.md has
them all.

All goes through the standard library's logging, which asyncio has loaded anyway. structlog would do the same, and be a
tenth of what it costs to start a worker.
"""

import contextvars
import json
import logging
import os
import sys
import time
from collections.abc import Mapping, MutableMapping
from types import MappingProxyType
from typing import Any, Final

_BOUND: Final[contextvars.ContextVar[Mapping[str, Any]]] = contextvars.ContextVar(
    "workerpool_log_fields",
    default=MappingProxyType({}),
)
_OF_EVERY_RECORD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class Log:
    """Says what happened: an event, and fields that are not in its text."""

    def __init__(self) -> None:
        self._logger: logging.Logger | logging.LoggerAdapter[logging.Logger] = logging.getLogger("workerpool")

    def debug(self, event: str, **fields: Any) -> None:
        """For who looks into this package."""
        self._logger.debug(event, extra=fields)

    def info(self, event: str, **fields: Any) -> None:
        """A step in the worker's life."""
        self._logger.info(event, extra=fields)

    def warning(self, event: str, *, exc_info: BaseException | None = None, **fields: Any) -> None:
        """Something is wrong and will be tried again."""
        self._logger.warning(event, exc_info=exc_info, extra=fields)

    def error(self, event: str, *, exc_info: BaseException | None = None, **fields: Any) -> None:
        """Something is wrong for good."""
        self._logger.error(event, exc_info=exc_info, extra=fields)


class TextLog(Log):
    """The same for programs with a logging of their own, which would not show the fields: they are in the text."""

    def __init__(self) -> None:
        self._logger = _InText(logging.getLogger("workerpool"))


class _InText(logging.LoggerAdapter[logging.Logger]):
    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        fields = kwargs.get("extra") or {}
        return " ".join(["workerpool:", str(msg), *(f"{name}={value}" for name, value in fields.items())]), kwargs


class JsonFormatter(logging.Formatter):
    """A record as one line: what is bound here, the record's extra fields, its text as `event`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        extra = {name: value for name, value in vars(record).items() if name not in _OF_EVERY_RECORD}
        line = {
            **_BOUND.get(),
            **_trace_ids(),
            **extra,
            "event": record.getMessage(),
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        line["timestamp"] = self.formatTime(record)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=repr)

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802  the base's name
        """ISO 8601 in UTC, to the microsecond."""
        seconds, fraction = divmod(record.created, 1)
        return time.strftime(datefmt or "%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(fraction * 1e6):06d}Z"


def _trace_ids() -> dict[str, str]:
    """Of the span that is the current one, if any: only who has loaded OpenTelemetry can have one."""
    api: Any = sys.modules.get("opentelemetry.trace")
    if api is None or not hasattr(api, "get_current_span"):  # another thread is about to load it
        return {}
    context = api.get_current_span().get_span_context()
    return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"} if context.is_valid else {}


def bind(**fields: Any) -> None:
    """Put these on every line that is written in this context: this task, and the tasks that it starts."""
    _BOUND.set({**_BOUND.get(), **fields})


def bound() -> Mapping[str, Any]:
    """What is bound in this context."""
    return _BOUND.get()


def configure(*, pool: str, version: str, worker: str) -> None:
    """Send the standard library's logging to stdout as JSON.

    A program that configured it keeps what it chose. `LOG_LEVEL` sets the level (default INFO).
    """
    bind(pool=pool, version=version, worker=worker)
    root = logging.getLogger()
    if not root.handlers:
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(JsonFormatter())
        root.addHandler(handler)
        root.setLevel(logging.getLevelNamesMapping().get(os.environ.get("LOG_LEVEL", "INFO").upper(), logging.INFO))
