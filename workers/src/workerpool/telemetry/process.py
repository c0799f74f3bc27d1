"""What Linux says of this process: two files of /proc, for which a library would be loaded by every worker."""

import os
import time
from pathlib import Path
from typing import Final

_START_FIELD: Final = 22
"""Number of the field with the start in /proc/PID/stat, see proc_pid_stat(5): ticks since the machine booted."""


def resident_bytes() -> int:
    """Resident memory; 0 where there is no /proc."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def age_seconds() -> float:
    """Seconds since the process was started, to a tick (10 ms); 0 where there is no /proc."""
    try:
        stat = Path("/proc/self/stat").read_text("utf-8", errors="replace")
    except OSError:
        return 0.0
    # The second field is the program's name in brackets, which may hold anything.
    after_name = stat.rpartition(")")[2].split()
    started = int(after_name[_START_FIELD - 3]) / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started
