"""`python -m bench.scale`: measure each system at each size, print, and write rows and report."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import aiohttp
import psutil

from bench.interrupt import end_at_first_signal
from bench.pools.stage import Load
from bench.scale import beside, kept, ours, report
from bench.scale.rows import Figures, rows
from e2e.cluster.base import ClusterError
from e2e.cluster.processes import DaemonDiedError
from e2e.cluster.progress import say
from e2e.cluster.toolchain import ToolchainError
from e2e.faults.watching import WatchLostError
from e2e.support.images import ROOT
from e2e.support.own_server import ServerDoesNotStart
from workerpool_operator.kube import errors

Measure = Callable[..., AsyncGenerator[Figures]]


@dataclass(frozen=True, kw_only=True)
class System:
    """One that is measured."""

    measure: Measure
    changes: tuple[str, ...] = ()
    """Its phases of mass changes."""


SYSTEMS: Final = {
    "workerpool": System(measure=ours.measure, changes=tuple(name for name, _, _ in ours.CHANGES)),
    "keda": System(measure=beside.measure),
}
SIZES: Final = (1, 100, 1000, 5000)
_FAILURES: Final = (
    ClusterError,
    DaemonDiedError,
    ServerDoesNotStart,
    ToolchainError,
    WatchLostError,
    TimeoutError,
    RuntimeError,
    aiohttp.ClientError,
    errors.KubeError,
    psutil.Error,
)


def main() -> int:
    """Exit code 0, or 1 when a measurement failed, 130 when it was broken off; what was measured is written anyway."""
    arguments = _arguments()
    end_at_first_signal()
    _many_files()
    measured: list[Figures] = arguments.measured
    failed = 0
    try:
        for pools in arguments.pools:
            load = Load(pools=pools, namespaces=max(1, pools // arguments.per_namespace))
            for name in arguments.systems:
                changes = SYSTEMS[name].changes if arguments.changes else ()
                if kept.has(measured, name, objects=load.pools, namespaces=load.namespaces, changes=changes):
                    say(f"{name}: {pools:,} pools: measured before, by {arguments.keep}")
                    continue
                failed += not _measured(name, load, arguments, into=measured)
        _write(arguments.json, measured)
    except KeyboardInterrupt:
        say("broken off: all that was started has ended")
        return 130
    print(report.report(measured))
    if not failed and arguments.report:
        report.write_into(report.PAGE, measured)
    return 1 if failed else 0


def _measured(name: str, load: Load, arguments: argparse.Namespace, *, into: list[Figures]) -> bool:
    """Whether it came to its end; what others have measured does not depend on it."""
    say(f"{name}: {load.pools:,} pools in {load.namespaces:,} namespaces (load {os.getloadavg()[0]:.1f})")
    try:
        with tempfile.TemporaryDirectory(prefix="wp-scale-") as home:
            system, bounds = SYSTEMS[name], {"window": arguments.window, "longest": arguments.longest}
            more = {"changes": arguments.changes} if system.changes else {}
            measure = system.measure(load, home=Path(home), **bounds, **more)
            asyncio.run(_take(measure, arguments, into=into))
    except _FAILURES as error:
        say(f"failed: {name} at {load.pools:,}: {type(error).__name__}: {error}")
        return False
    return True


async def _take(measure: AsyncGenerator[Figures], arguments: argparse.Namespace, *, into: list[Figures]) -> None:
    """Keep what is known after each phase in place of what was known before, in this run or an earlier one."""
    commit = _commit()
    async with aclosing(measure):
        async for figures in measure:
            into[:] = [one for one in into if (one.system, one.objects) != (figures.system, figures.objects)]
            into.append(replace(figures, commit=commit))
            if arguments.keep:
                kept.dump(arguments.keep, into)
            _write(arguments.json, into)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description="The operator and KEDA as they grow.")
    sizes = ",".join(map(str, SIZES))
    parser.add_argument("--pools", type=_numbers, default=list(SIZES), help=f"how many, one run each (default {sizes})")
    parser.add_argument("--per-namespace", type=int, default=100, help="pools in a namespace (default 100)")
    parser.add_argument("--system", choices=sorted(SYSTEMS), help="only this one (default: both)")
    parser.add_argument("--window", type=float, default=120.0, help="seconds of each look at rest (default 120)")
    parser.add_argument("--longest", type=float, default=7200.0, help="seconds that a phase may take (default 7200)")
    parser.add_argument(
        "--without-changes",
        action="store_false",
        dest="changes",
        help="leave out the mass changes of all pools at once, which take hours at 5,000",
    )
    parser.add_argument("--json", type=Path, help="write the rows to this file, after each measurement")
    parser.add_argument("--keep", type=Path, help="keep all figures in this file, and measure what it has not")
    parser.add_argument("--report", action="store_true", help=f"write the tables into {report.PAGE.name}, at the end")
    arguments = parser.parse_args()
    try:
        arguments.measured = kept.load(arguments.keep) if arguments.keep else []
    except ValueError as error:
        parser.error(f"--keep {arguments.keep}: these are not its figures: {error}")
    if min(arguments.pools) < 1 or arguments.per_namespace < 1 or arguments.window <= 0:
        parser.error("--pools and --per-namespace are from 1, --window is above 0")
    arguments.systems = [arguments.system] if arguments.system else list(SYSTEMS)
    return arguments


def _commit() -> str:
    """Which project is measured; nothing where that is no repository, or no git is there."""
    command = ["git", "describe", "--always", "--dirty", "--exclude", "*"]
    try:
        told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return told.stdout.strip()


def _numbers(text: str) -> list[int]:
    return [int(one) for one in text.split(",")]


def _many_files() -> None:
    """Fifty streams, and a connection for each request under way."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 65536)), hard))


def _write(file: Path | None, measured: Sequence[Figures]) -> None:
    """All rows so far: an exponent is of all sizes that there are."""
    if file is not None:
        file.write_text(json.dumps([asdict(one) for one in rows(measured)], indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
