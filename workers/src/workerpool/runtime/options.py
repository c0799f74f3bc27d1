"""What a program chooses for its worker, beside its handlers."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from workerpool.runtime.lanes import Kind
from workerpool.runtime.recycle import Recycle


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Arguments of `Worker` that the runtime looks at."""

    slots: Mapping[Kind, int] = field(default_factory=dict)
    """Of lanes; the others share what is left."""
    lifespan: bool = False
    """Whether handlers are given something that belongs to the worker's event loop."""
    adaptive: bool = False
    """Whether the lanes find out themselves how many jobs they run at a time."""
    recycle: Recycle = field(default_factory=Recycle)
    """When the worker has done enough."""
    recycle_children: Recycle = field(default_factory=Recycle)
    """When a process of the cpu lane has done enough."""
    watchdog: bool = True
    """False where time is played: how late the event loop is can only be told in real time."""
