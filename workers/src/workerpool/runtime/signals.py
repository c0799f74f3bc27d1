"""SIGTERM before there is anything to drain.

Linux sends the first process of a container no SIGTERM that it has not asked for (pid_namespaces(7)). Kubelet sends it
once: one that came while the program loads would be lost, and the worker would take jobs until it is killed.
"""

import os
import signal
from types import FrameType


def leave_at_sigterm() -> None:
    """From now on SIGTERM ends the process at once, until an event loop handles it. For the main thread."""
    signal.signal(signal.SIGTERM, _leave)


def _leave(_number: int, _frame: FrameType | None) -> None:
    # No exception: whatever is being imported right now may swallow it.
    os._exit(0)
