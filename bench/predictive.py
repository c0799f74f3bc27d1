"""What the predictive floor is worth: a working day, played with the forecast observed and with it acting.

The same as `wpool simulate --pattern daily`: four days of 20 jobs/s at their peak, of which the first three only teach
the forecast, and the last is played second by second with the operator's own decision. Jobs take a second, and a new
pod a minute until it takes jobs. Nothing in it is random twice: the figures are the same on every machine.

The aim: a p95 wait at least 30 % lower, for at most 10 % more pod-hours. Exit code 1 where a target misses it.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from workerpool_operator.api import parse
from workerpool_operator.cli.simulate.loads import Pattern, from_pattern
from workerpool_operator.cli.simulate.model import Pods, simulate
from workerpool_operator.cli.simulate.report import Figures

DAY_SECONDS: Final = 86_400
DAYS: Final = 4
PEAK: Final = 20.0
PODS: Final = Pods(job_seconds=1.0, start_seconds=60.0, slots=1)
LEAST_GAIN: Final = 0.3
MOST_COST: Final = 0.1
TARGETS: Final[dict[str, dict[str, Any]]] = {
    "none set": {},
    "queueDepthPerReplica 1": {"queueDepthPerReplica": 1},
    "jobLatencySeconds 10": {"jobLatencySeconds": 10},
    "utilization 0.8": {"utilization": "0.8"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One setting's day, without the floor and with it. Waits in seconds."""

    targets: str
    p95_wait_before: float
    p95_wait: float
    p50_wait_before: float
    p50_wait: float
    pod_hours_before: float
    pod_hours: float
    changes_before: int
    changes: int

    @property
    def gain(self) -> float:
        """By what share of it the p95 wait is lower."""
        return 1 - self.p95_wait / self.p95_wait_before if self.p95_wait_before else 0.0

    @property
    def cost(self) -> float:
        """How many more pod-hours, as a share."""
        return self.pod_hours / self.pod_hours_before - 1

    @property
    def good(self) -> bool:
        """Whether the aim is met."""
        return self.gain >= LEAST_GAIN and self.cost <= MOST_COST


def played(targets: dict[str, Any], *, mode: str, jobs: list[float]) -> Figures:
    """The last day of these jobs."""
    scaling = {"maxReplicas": 500, "targets": targets, "predictive": {"mode": mode}}
    pool = parse(
        {
            "metadata": {"name": "pool", "namespace": "default", "uid": "1", "resourceVersion": "1", "generation": 1},
            "spec": {
                "worker": {"image": "registry.example/worker:1"},
                "queues": [
                    {"name": "main", "redisStream": {"url": "redis://redis", "stream": "jobs", "group": "jobs"}}
                ],
                "scaling": scaling,
            },
        }
    )
    return Figures.of(simulate(pool, jobs, pods=PODS, name=mode, learned=(DAYS - 1) * DAY_SECONDS), price=None)


def measure(names: list[str]) -> Iterator[Row]:
    """The rows of these targets."""
    jobs = from_pattern(Pattern.DAILY, rate=PEAK, seconds=DAYS * DAY_SECONDS)
    for name in names:
        before, after = (played(TARGETS[name], mode=mode, jobs=jobs) for mode in ("observe", "enabled"))
        yield Row(
            targets=name,
            p95_wait_before=before.p95_wait_seconds,
            p95_wait=after.p95_wait_seconds,
            p50_wait_before=before.p50_wait_seconds,
            p50_wait=after.p50_wait_seconds,
            pod_hours_before=before.pod_hours,
            pod_hours=after.pod_hours,
            changes_before=before.changes,
            changes=after.changes,
        )


def main() -> None:
    """Measure, print, write JSON where that is asked for, and judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    rows = []
    arguments = parser.parse_args()
    for row in measure(list(TARGETS)):
        rows.append(row)
        print(
            f"{row.targets:24} p95 wait {row.p95_wait_before:.0f} -> {row.p95_wait:.0f} s ({row.gain:.0%} lower), "
            f"pod-hours {row.pod_hours_before:.0f} -> {row.pod_hours:.0f} ({row.cost:+.1%}), "
            f"changes {row.changes_before} -> {row.changes}",
            flush=True,
        )
    if arguments.json:
        told = [asdict(row) | {"p95_gain": row.gain, "pod_hours_cost": row.cost} for row in rows]
        arguments.json.write_text(json.dumps(told, indent=2) + "\n")
    sys.exit(0 if all(row.good for row in rows) else 1)


if __name__ == "__main__":
    main()
