"""How soon the kernel lets this process run when a request comes while others want the cores too.

Of those who want a core Linux takes whoever is through first with what it may use at a stretch, its slice (EEVDF). Who
asks for a short one runs sooner after having slept, and gets no more of the core: so it needs no right, unlike a
priority. Linux takes the wish from 6.12 on; before, and where a seccomp profile forbids the call, all stays as it is.
"""

import ctypes
import os
import platform
import struct
from collections.abc import Mapping
from typing import Final

SLICE_SECONDS: Final = 0.0001
"""The shortest that Linux takes; its own is 3 ms."""

_SCHED_SETATTR: Final[Mapping[str, int]] = {"x86_64": 314, "aarch64": 274}
"""The system call's number, by machine; neither Python nor every libc has it by name."""
_ATTRIBUTES: Final = struct.Struct("=IIQiIQQQ")
"""`struct sched_attr` in its first version: size, policy, flags, nice, priority, runtime, deadline, period."""


def run_soon() -> bool:
    """Ask for short slices; whether the kernel takes the wish."""
    number = _SCHED_SETATTR.get(platform.machine())
    if number is None or os.sched_getscheduler(0) != os.SCHED_OTHER:
        return False
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    runtime = int(SLICE_SECONDS * 1e9)
    wish = _ATTRIBUTES.pack(_ATTRIBUTES.size, os.SCHED_OTHER, 0, nice, 0, runtime, 0, 0)
    return bool(ctypes.CDLL(None).syscall(number, 0, wish, 0) == 0)
