"""The last figures of a worker: where Kubernetes keeps them with the dead container, and how long for a last scrape."""

import contextlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Final

from workerpool.telemetry.metrics import Metrics

TERMINATION_LOG: Final = Path("/dev/termination-log")
MARGIN_SECONDS: Final = 20.0
"""What the pod's grace period must give beyond the drain: cancel, hand back, last words, the last scrape."""
_SCRAPE_SECONDS: Final = 10.0


def scrape_seconds(*, drain_seconds: float, draining_for: float) -> float:
    """How long to wait for the last scrape, before the pod's grace period is over."""
    return max(0.0, min(_SCRAPE_SECONDS, drain_seconds + MARGIN_SECONDS - draining_for))


def write_last_figures(metrics: Metrics, *, interrupted: int) -> None:
    """Write them, if there is such a file. `interrupted`: jobs that did not come to their end."""
    if TERMINATION_LOG.is_file():
        totals = {**asdict(metrics.totals()), "interrupted": interrupted}
        with contextlib.suppress(OSError):
            TERMINATION_LOG.write_text(json.dumps(totals) + "\n", encoding="utf-8")
