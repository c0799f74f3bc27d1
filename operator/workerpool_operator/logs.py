"""Logs: one JSON object a line on stderr, from this project's code and from every library alike.

Keys: `timestamp` (UTC, RFC 3339), `level`, `logger`, `event` (the sentence), and what was bound: `namespace`,
`pool` and `version` by :func:`bound`, which covers everything that is logged inside of it, libraries included.
Workers write the same keys (`workerpool.telemetry.logs`); docs/reference/logs.md has them all.
JSON also keeps a line one line, whatever a resource's name or an error message contains.
"""

import logging
import sys
from collections.abc import Mapping, MutableMapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Final, TextIO

from workerpool_operator.structured import structlog

if TYPE_CHECKING:
    from structlog.typing import Processor

_NOISY: Final[Mapping[str, int]] = {
    # Each of these repeats on every request or every event what the operator says once, better.
    "aiohttp.access": logging.WARNING,
    "kopf": logging.WARNING,
    "asyncio": logging.WARNING,
}


def configure(*, level: str = "INFO", stream: TextIO = sys.stderr, **always: str) -> None:
    """Send all logs to `stream` as JSON. Called once, by a program's entry point.

    `always` stands on every line that does not say it otherwise.

    Raises ValueError for a `level` that `logging` does not know.
    """
    root = logging.getLogger()
    root.setLevel(level)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        _name_the_pool,
        lambda _, __, event: {**always, **event},
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root.handlers[:] = [handler]
    for name, quietest in _NOISY.items():
        logging.getLogger(name).setLevel(max(quietest, root.level))


def bound(**values: str) -> AbstractContextManager[None]:
    """Add `values` to everything that this task logs inside of the context."""
    return structlog.contextvars.bound_contextvars(**values)


def _name_the_pool(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Say which object a line of kopf's is about in the same keys as our own lines."""
    reference = event.pop("k8s_ref", None)
    event.pop("k8s_skip", None)
    event.pop("settings", None)
    if isinstance(reference, Mapping):
        event.setdefault("namespace", reference.get("namespace") or "")
        event.setdefault("object", f"{reference.get('kind')}/{reference.get('name')}")
    return event
