"""The last figures of a worker, where Kubernetes keeps them with the dead container."""

import contextlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Final

from workerpool.runtime.drain import Drained
from workerpool.telemetry.metrics import Metrics

TERMINATION_LOG: Final = Path("/dev/termination-log")


def write_last_figures(metrics: Metrics, drained: Drained) -> None:
    """Write them, if there is such a file."""
    if TERMINATION_LOG.is_file():
        totals = {**asdict(metrics.totals()), "interrupted": drained.interrupted}
        with contextlib.suppress(OSError):
            TERMINATION_LOG.write_text(json.dumps(totals) + "\n", encoding="utf-8")
