"""How many of the worker's slots each lane has, and how many cores there are to compute on."""

import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from workerpool.errors import ConfigurationError
from workerpool.runtime.lanes import Kind

_CPU_MAX: Final = Path("/sys/fs/cgroup/cpu.max")


def cores(cpu_max: Path = _CPU_MAX) -> int:
    """Cores that this process may use at a time, rounded up, at least 1.

    The smaller one of the cores it may be scheduled on and the quota of its container: `cpu.max` of cgroup v2 holds
    microseconds of CPU per period of microseconds, or `max` (Documentation/admin-guide/cgroup-v2.rst of Linux). Half a
    core counts as one: a process for it is better than none.
    """
    schedulable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = cpu_max.read_text("ascii").split()
        allowed = math.inf if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):  # no cgroup v2, or not in a container
        allowed = math.inf
    return max(1, math.ceil(min(schedulable, allowed)))


def share(
    total: int, kinds: Iterable[Kind], *, cores: int, chosen: Mapping[Kind, int], per_process: int = 1
) -> dict[Kind, int]:
    """The slots of each of these lanes.

    The cpu lane gets one per core, since more would only take time from each other, and what is left is shared evenly.
    Where a process of it does several jobs at a time, `per_process`, it gets so many per core, and no more than its
    even part. `chosen` are those that the program names itself. Every lane has at least one: with fewer slots than
    lanes they share, for the worker never runs more than `total` jobs.

    Raises:
        ConfigurationError: what was chosen does not fit into `total`.
    """
    used = sorted(set(kinds) or {Kind.IO}, key=list(Kind).index)
    slots = {kind: chosen[kind] for kind in used if kind in chosen}
    if sum(slots.values()) > total:
        named = ", ".join(f"{kind}: {count}" for kind, count in slots.items())
        raise ConfigurationError(
            f"MAX_WORKERS is {total}: the lanes' slots of this worker do not fit into it ({named})"
        )
    others = [kind for kind in used if kind not in slots]
    if Kind.CPU in others:
        others.remove(Kind.CPU)
        free = total - sum(slots.values())
        part = cores if per_process == 1 else max(cores, free // (len(others) + 1))
        slots[Kind.CPU] = max(1, min(cores * per_process, part, free - len(others)))
    left = total - sum(slots.values())
    for index, kind in enumerate(others):
        slots[kind] = max(1, (left + len(others) - 1 - index) // len(others))
    return {kind: slots[kind] for kind in used}
