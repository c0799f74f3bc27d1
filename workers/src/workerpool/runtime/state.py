"""Who a worker is and what it does right now, as it tells its collector."""

from collections.abc import Mapping
from dataclasses import dataclass

from workerpool.runtime.live import Share
from workerpool.telemetry.metrics import Totals


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The protocol's `Hello`."""

    pool: str
    pod: str
    version: str
    slots: int
    boot_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The protocol's `Report`."""

    in_flight: int
    slots: int
    most_slots: int
    cpu_cores: float | None
    fence: str
    draining: bool
    paused: str
    troubles: Mapping[str, str]
    remaining_seconds: float | None
    totals: Totals
    slow_after: float
    """Seconds."""
    share: Share | None = None
