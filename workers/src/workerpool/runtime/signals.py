"""The signals that end the process at once: before there is anything to drain, and when a drain was hurried in vain.

Linux sends the first process of a container no SIGTERM that it has not asked for (pid_namespaces(7)). Kubelet sends it
once: one that came while the program loads would be lost, and the worker would take jobs until it is killed. For the
same reason the default disposition ends nothing there, and a handler does it.
"""

import os
import signal
from types import FrameType


def leave_at_sigterm() -> None:
    """From now on SIGTERM ends the process at once, until an event loop handles it. For the main thread."""
    signal.signal(signal.SIGTERM, _leave)


def end_at_next_signal(*numbers: signal.Signals) -> None:
    """The next of these ends the process, with the status that a shell gives to a death by it. For the main thread."""
    for number in numbers:
        signal.signal(number, _end)


def _end(number: int, _frame: FrameType | None) -> None:
    os._exit(128 + number)


def _leave(_number: int, _frame: FrameType | None) -> None:
    # No exception: whatever is being imported right now may swallow it.
    os._exit(0)
