"""The signals that end the process at once: before there is anything to drain, and when a drain was hurried in vain.

Linux sends the first process of a container no SIGTERM that it has not asked for (pid_namespaces(7)). Kubelet sends it
once: one that came while the program loads would be lost, and the worker would take jobs until it is killed. For the
same reason the default disposition ends nothing there, and a handler does it.

Python runs a handler between two steps of the main thread, which may come late or never while a program loads: in a
call that waits and was begun just after the signal, or that begins to wait anew when it is interrupted. So a thread of
our own hears of SIGTERM too, and leaves for it.
"""

import os
import signal
import threading
from types import FrameType


def leave_at_sigterm() -> None:
    """From now on SIGTERM ends the process at once, until an event loop handles it. For the main thread."""
    if signal.signal(signal.SIGTERM, _leave) is _leave:
        return
    heard, told = os.pipe()
    os.set_blocking(told, False)
    signal.set_wakeup_fd(told, warn_on_full_buffer=False)  # an event loop puts one of its own in its place
    threading.Thread(target=_leave_when, args=(heard,), name="sigterm", daemon=True).start()


def end_at_next_signal(*numbers: signal.Signals) -> None:
    """The next of these ends the process, with the status that a shell gives to a death by it. For the main thread."""
    for number in numbers:
        signal.signal(number, _end)


def _end(number: int, _frame: FrameType | None) -> None:
    os._exit(128 + number)


def _leave_when(heard: int) -> None:
    while numbers := os.read(heard, 64):
        if signal.SIGTERM in numbers and signal.getsignal(signal.SIGTERM) is _leave:
            os._exit(0)


def _leave(_number: int, _frame: FrameType | None) -> None:
    # No exception: whatever is being imported right now may swallow it.
    os._exit(0)
