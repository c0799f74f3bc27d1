"""Two hours of pools that come, change and go, and what the operator has grown by then: `make soak JSON=FILE`.

Ten pools of names that nobody had before are made, scaled up, given another version, scaled down and deleted, again and
again, beside one that stays. After each round the operator's resident memory and open descriptors are looked at, and
how many objects the namespace has. After the warm-up a straight line is laid through each figure: it may rise by less
than 1 % an hour. Real are the operator's process, API server, etcd and controller manager; kubelet and collector are
played, as in F1.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from e2e.cluster.processes import DaemonDiedError, end_at_sigterm
from e2e.cluster.progress import say
from e2e.faults.collector import Script
from e2e.faults.lane import Lane
from e2e.faults.matrix.churn import Use, churned
from e2e.faults.matrix.ground import Ground
from e2e.faults.scenarios import POOL, QUEUE, Stage, pool_body
from e2e.faults.soak.trend import HOUR_SECONDS, Look, Report
from e2e.support.wait import NotInTimeError
from workerpool_operator.kube import errors

_POOLS = 10
_SAY_SECONDS = 60.0


def main(arguments: Sequence[str]) -> int:
    """Soak; exit code 0 when nothing grew and nothing was left over, else 1."""
    options = _parser().parse_args(arguments)
    end_at_sigterm()
    soak = Soak(seconds=options.hours * HOUR_SECONDS)
    try:
        with tempfile.TemporaryDirectory(prefix="soak-", ignore_cleanup_errors=True) as folder:
            asyncio.run(soak.run(Path(folder)))
    except KeyboardInterrupt:
        say("broken off; what was seen until now is told")
    try:
        report = soak.report(warm_seconds=options.warm_up * HOUR_SECONDS)
    except ValueError as error:
        say(f"too short: {error}")
        return 1
    print(json.dumps(report.dump(), indent=2))
    if options.json:
        options.json.write_text(json.dumps(report.dump(), indent=2) + "\n")
    for told in (*report.grows, *report.failures):
        say(told)
    return 0 if report.holds else 1


class Soak:
    """One run, and what it has seen so far."""

    def __init__(self, *, seconds: float) -> None:
        self._seconds = seconds
        self._looks: list[Look] = []
        self._failures: list[str] = []

    async def run(self, folder: Path) -> None:
        """Until the time is over, or the operator is: that is a failure like others."""
        async with Ground(home=folder) as ground, ground.lane() as lane, lane.stage("soak") as stage:
            stage.collector.say(POOL, Script(queue=QUEUE))
            await lane.kube.create(pool_body(stage, POOL))
            try:
                await self._churn(lane, stage)
            except (DaemonDiedError, errors.KubeError) as error:
                self._failures.append(f"ended after {len(self._looks)} rounds: {error}")

    def report(self, *, warm_seconds: float) -> Report:
        """What it came to. Raises ValueError when it was too short to tell."""
        pools = _POOLS * len(self._looks)
        return Report.of(self._looks, warm_seconds=warm_seconds, pools=pools, failures=self._failures)

    async def _churn(self, lane: Lane, stage: Stage) -> None:
        began = said = time.monotonic()
        pid = lane.operator.pid()
        while (now := time.monotonic()) - began < self._seconds:
            await self._round(lane, stage)
            if lane.operator.pid() != pid:
                raise DaemonDiedError("the operator was started anew")
            use, objects = Use.of(pid), len(await lane.state(stage))
            look = Look(
                seconds=time.monotonic() - began, memory_mb=use.memory / 2**20, files=use.files, objects=objects
            )
            self._looks.append(look)
            if now - said >= _SAY_SECONDS or len(self._looks) == 1:
                said = now
                say(f"round {len(self._looks)}: {look.memory_mb:.1f} MiB, {use.files} files, {objects} objects")

    async def _round(self, lane: Lane, stage: Stage) -> None:
        number = len(self._looks)
        lane.forget_writes()  # the proxy keeps each
        try:
            left = await churned(lane, stage, [f"pool-{number}-{index}" for index in range(_POOLS)])
        except NotInTimeError as error:
            self._failures.append(f"round {number}: {error}")
            return
        if left:
            self._failures.append(f"round {number}: {left} objects are left of pools that were deleted")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m e2e.faults.soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hours", type=float, default=2.0, help="how long (2)")
    parser.add_argument("--warm-up", type=float, default=0.5, help="hours at the beginning that do not count (0.5)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what it came to there")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
