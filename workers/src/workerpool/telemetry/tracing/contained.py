"""No fault in tracing changes what becomes of a job: spans are lost by it, and nothing else.

Spans run code that is not ours: samplers, processors and exporters that the program has chosen. What one of them raises
must not fail an attempt, nor keep a job from being settled, nor a producer from putting one.
"""

import traceback
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from workerpool.telemetry.logs import Log

P = ParamSpec("P")
R = TypeVar("R")


def contained(function: Callable[P, R]) -> Callable[P, R | None]:
    """The same, but that it never raises: None is what a fault returns. Each kind of fault is logged once."""
    told: set[type[Exception]] = set()

    @wraps(function)
    def call(*args: P.args, **named: P.kwargs) -> R | None:
        try:
            return function(*args, **named)
        except Exception as error:  # noqa: BLE001  see above
            if type(error) not in told:
                told.add(type(error))
                said = traceback.format_exception_only(error)[-1].strip()  # its own text may raise, too
                Log().warning("a fault in tracing: spans are lost by it", error=said, where=function.__qualname__)
            return None

    return call
