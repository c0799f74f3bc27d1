"""`python -m bench.pools`: measure both systems, print, and write the rows."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from bench.interrupt import end_at_first_signal
from bench.pools.estimate import break_even, through, told
from bench.pools.measure import PATIENCE_SECONDS, SYSTEMS, Row, row
from bench.pools.stage import Load
from e2e.cluster.processes import DaemonDiedError
from e2e.cluster.progress import say
from e2e.cluster.toolchain import ToolchainError
from e2e.support.own_server import ServerDoesNotStart
from e2e.support.wait import NotInTimeError

EXTRAPOLATED: Final = (500, 1000)


def main() -> int:
    """Exit code 0, or 1 when a measurement failed, 130 when it was broken off; what was measured is written anyway."""
    arguments = _arguments()
    end_at_first_signal()
    rows: list[Row] = []
    code = 0
    try:
        for system, load in _wanted(arguments):
            say(f"{system}: {load.pools:,} pools in {load.namespaces:,} namespaces (load {os.getloadavg()[0]:.1f})")
            with tempfile.TemporaryDirectory(prefix="wp-pools-") as home:
                rows.append(asyncio.run(row(system, load, home=Path(home), window=arguments.window)))
            _write(arguments.json, rows)
    except KeyboardInterrupt:
        say("broken off: all that was started has ended")
        code = 130
    except (DaemonDiedError, ServerDoesNotStart, ToolchainError, NotInTimeError, TimeoutError, RuntimeError) as error:
        say(f"failed: {error}")
        code = 1
    _tell(rows)
    return code


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.pools", description="What many pools cost, beside KEDA.")
    parser.add_argument("--pools", type=int, default=1000, help="how many pools (default 1000)")
    parser.add_argument("--system", choices=sorted(SYSTEMS), help="only this one (default: both)")
    parser.add_argument(
        "--namespaces",
        type=lambda text: [int(one) for one in text.split(",")],
        default=[1, 10],
        help="over how many, one row of ours for each (default 1,10); KEDA is measured with the first",
    )
    parser.add_argument("--window", type=float, default=120.0, help="seconds of each window at rest (default 120)")
    parser.add_argument("--json", type=Path, help="write the measured rows to this file")
    arguments = parser.parse_args()
    if not all(0 < number <= arguments.pools for number in arguments.namespaces) or arguments.window <= 0:
        parser.error("--namespaces are from 1 to the number of pools, --window is above 0")
    return arguments


def _wanted(arguments: argparse.Namespace) -> list[tuple[str, Load]]:
    loads = [Load(pools=arguments.pools, namespaces=number) for number in arguments.namespaces]
    ours, keda = [("workerpool", load) for load in loads], [("keda", loads[0])]
    return {"workerpool": ours, "keda": keda, None: ours + keda}[arguments.system]


def _write(file: Path | None, rows: Sequence[Row]) -> None:
    if file is not None:
        file.write_text(json.dumps([asdict(one) for one in rows], indent=2) + "\n")


def _tell(rows: Sequence[Row]) -> None:
    """All rows, and what they say of more namespaces."""
    for one in rows:
        late = one.seconds_to_all_scaled is None
        scaled = f"not within {PATIENCE_SECONDS:.0f} s" if late else f"after {one.seconds_to_all_scaled:.1f} s"
        print(
            f"{one.system:10} {one.pools:6,} pools {one.namespaces:5,} namespaces: looked after with "
            f"{one.cpu_seconds_start:.1f} s of CPU; at rest {one.cpu_millicores_steady:.1f} mCPU, {one.rss_mb:.1f} MB; "
            f"all scaled {scaled}"
        )
    ours = {one.namespaces: one for one in rows if one.system == "workerpool"}
    if len(ours) < 2:
        return
    lines = {
        "CPU": through({number: one.cpu_millicores_steady for number, one in ours.items()}),
        "memory": through({number: one.rss_mb for number, one in ours.items()}),
    }
    for number in EXTRAPOLATED:
        cpu, memory = lines["CPU"].at(number), lines["memory"].at(number)
        print(f"workerpool {number:,} namespaces, extrapolated: {cpu:,.0f} mCPU, {memory:,.0f} MB")
    for one in rows:
        if one.system == "keda":
            costs = {"CPU": one.cpu_millicores_steady, "memory": one.rss_mb}
            resource, most = break_even(lines, costs)
            print(f"costs no more than KEDA up to {told(most)} namespaces; {resource} is the first to reach it")


if __name__ == "__main__":
    sys.exit(main())
