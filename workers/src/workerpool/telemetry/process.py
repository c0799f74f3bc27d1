"""What Linux says of this process: files of /proc, for which a library would be loaded by every worker."""

import errno
import os
import time
from pathlib import Path
from typing import Final

_START_FIELD: Final = 22
"""Number of the field with the start in /proc/PID/stat, see proc_pid_stat(5): ticks since the machine booted."""
_CPU_FIELDS: Final = (14, 15)
"""User and system time, in ticks."""


def resident_bytes(pid: int | None = None) -> int:
    """Resident memory of this process or that one; 0 where there is no /proc, or no such process any more."""
    try:
        pages = int(Path(f"/proc/{pid or 'self'}/statm").read_text("ascii").split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def age_seconds() -> float:
    """Seconds since the process was started, to a tick (10 ms); 0 where there is no /proc."""
    fields = _stat("self")
    if not fields:
        return 0.0
    started = int(fields[_START_FIELD - 3]) / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started


def cpu_seconds(pid: int) -> float:
    """CPU that a process has used, to a tick; 0 where there is no /proc, or no such process any more."""
    fields = _stat(str(pid))
    return sum(int(fields[field - 3]) for field in _CPU_FIELDS) / os.sysconf("SC_CLK_TCK") if fields else 0.0


def context_switches() -> int:
    """Switches of all threads of this process so far, voluntary and not."""
    import resource  # noqa: PLC0415  not every system has it

    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_nvcsw + usage.ru_nivcsw


def open_files() -> tuple[int, int]:
    """Files, sockets and pipes of this process, and how many it may have open; (0, 1) where there is no /proc."""
    import resource  # noqa: PLC0415  not every system has it

    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    try:
        return len(os.listdir("/proc/self/fd")), allowed  # noqa: PTH208  a Path for each of thousands
    except OSError as error:
        # To count them takes one more.
        return (allowed, allowed) if error.errno == errno.EMFILE else (0, 1)


def _stat(pid: str) -> list[str]:
    """The fields of /proc/PID/stat from the third on."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", errors="replace")
    except OSError:
        return []
    # The second field is the program's name in brackets, which may hold anything.
    return stat.rpartition(")")[2].split()
