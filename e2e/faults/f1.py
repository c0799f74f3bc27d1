"""F1: the operator is killed after every single write of a reconcile, one at a time, and must come to the same end.

First each scenario is played without a fault: that gives the number of its write points and the end state. Then it is
played again once for each write point: right after the API server has carried out that write, and before the operator
hears of it, the operator gets SIGKILL and is started anew. Afterwards the same objects must be there, no worker may
have been made or ended that the clean run did not make or end, no worker at work may have been touched, and at no
moment may two Deployments have asked for more workers than the surge allows.

Real are the operator's process, the API server, etcd and the controller manager. Played are the kubelet, which marks
pods Ready, and the collector, which speaks the real protocol. The dead operator's Lease is cleared at once, since its
15 s of waiting would only make the run longer.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

from e2e.cluster.api import wait_until
from e2e.cluster.controlplane import ControlPlane
from e2e.cluster.processes import end_at_sigterm
from e2e.cluster.progress import say
from e2e.faults.lane import Lane
from e2e.faults.scenarios import Scenario
from e2e.faults.suite import CHAINS, Result, Suite
from workerpool_operator.kube import kinds

CRDS = Path(__file__).resolve().parents[2] / "crds"


def main(arguments: Sequence[str]) -> int:
    """Run F1; exit code 0 when every write point was covered and nothing broke."""
    options = _parser().parse_args(arguments)
    end_at_sigterm()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="f1-") as folder, ExitStack() as stack:
        planes = []
        for number in range(options.lanes):
            plane = ControlPlane(name=f"f1-{number}", data_dir=Path(folder) / f"plane-{number}")
            planes.append(stack.enter_context(plane))
            install(plane)
        result = asyncio.run(run(planes, home=Path(folder), every=options.every))
    summary = {**result.summary(), "seconds_total": round(time.monotonic() - started, 1)}
    for text in result.broken:
        say(f"BROKEN {text}")
    print(json.dumps(summary, indent=2))
    if options.json:
        options.json.write_text(json.dumps(summary, indent=2) + "\n")
    covered = options.every > 1 or summary["write_points_covered"] == summary["write_points_total"]
    return 0 if covered and not result.broken else 1


def install(plane: ControlPlane) -> None:
    """Have the control plane serve WorkerPools."""
    command = [str(plane.kubectl), f"--kubeconfig={plane.kubeconfig}", "apply", "--server-side", f"--filename={CRDS}"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    wait_until(lambda: plane.api.get(kinds.WORKER_POOL.path()) is not None, seconds=30, what="WorkerPools are served")


async def run(
    planes: Sequence[ControlPlane], *, home: Path, every: int = 1, chains: Sequence[Sequence[Scenario]] = CHAINS
) -> Result:
    """Play all scenarios on these control planes, which serve WorkerPools, with one operator on each."""
    async with AsyncExitStack() as stack:
        lanes = [
            await stack.enter_async_context(Lane.on(plane, home=home / f"lane-{number}", tls=home / "tls"))
            for number, plane in enumerate(planes)
        ]
        return await Suite(lanes, chains).run(every=every)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m e2e.faults.f1", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only each N-th write point (default: 1)")
    parser.add_argument("--lanes", type=int, default=2, metavar="N", help="control planes at work (default: 2)")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
