"""Structured logs: one JSON object a line, with pool, version, worker, and the job while one runs."""

import logging
import os
import sys

import structlog
from structlog.typing import Processor


def configure(*, pool: str, version: str, worker: str) -> None:
    """Send structlog and the standard library's logging to stdout as JSON.

    A program that configured either of them keeps what it chose. `LOG_LEVEL` sets the level (default INFO).
    """
    structlog.contextvars.bind_contextvars(pool=pool, version=version, worker=worker)
    level = logging.getLevelNamesMapping().get(os.environ.get("LOG_LEVEL", "INFO").upper(), logging.INFO)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    render: list[Processor] = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=repr)]
    if not structlog.is_configured():
        structlog.configure(
            processors=[*shared, *render],
            wrapper_class=structlog.make_filtering_bound_logger(level),
            logger_factory=structlog.WriteLoggerFactory(file=sys.stdout),
            cache_logger_on_first_use=True,
        )
    root = logging.getLogger()
    if not root.handlers:
        handler = logging.StreamHandler(sys.stdout)
        remove = structlog.stdlib.ProcessorFormatter.remove_processors_meta
        handler.setFormatter(
            structlog.stdlib.ProcessorFormatter(
                foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()], processors=[remove, *render]
            )
        )
        root.addHandler(handler)
        root.setLevel(level)
