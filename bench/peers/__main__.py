"""Jobs per core-second, latency and memory of queue libraries' workers: `make bench-workers JSON=FILE`.

Each library runs in an environment of its own (`locks/`, installed on demand below ~/.cache/workerpool-operator), on a
fresh Redis of the same kind: one worker process, 50 jobs at a time, acknowledged after the work, set up as its own
documentation says (`apps/`).

| Column | Means |
|---|---|
| `workload` | `noop`: nothing; `io10ms`: a wait of 10 ms |
| `guarantee_proven` | its worker got SIGKILL in the middle of a job, and another one started that job within 60 s |
| `jobs_per_core_second` | jobs of a full queue by the CPU seconds of the worker and its children, without their start |
| `p99_seconds` | from when a job was due to be sent, 100 a second (open loop), until its handler started |
| `rss_mb` | resident memory of the worker and its children at the end of the full queue |

A figure that could not be measured is null, with the reason on the terminal, and the exit status is then 1.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.table import Table

from bench.peers.libraries import LIBRARIES, Library
from bench.peers.phases import Bench
from bench.worker import redis_server
from e2e.cluster.processes import end_at_sigterm
from e2e.cluster.progress import say

WORKLOADS = ("noop", "io10ms")
_INTERRUPTED = 130
_MB = 1_000_000

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One library at one workload."""

    library: str
    workload: str
    guarantee_proven: bool
    jobs_per_core_second: float | None
    p99_seconds: float | None
    rss_mb: float | None


def main(arguments: Sequence[str]) -> int:
    """Measure, print, and write JSON where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [library.name for library in LIBRARIES]
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows there")
    parser.add_argument("--libraries", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names))
    options = parser.parse_args(arguments)
    end_at_sigterm()
    rows: list[Row] = []
    status = 0
    try:
        for library in (one for one in LIBRARIES if one.name in options.libraries):
            rows.extend(measure(library))
    except KeyboardInterrupt:
        say("interrupted; what was measured until now:")
        status = _INTERRUPTED
    show(rows)
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
    return status or int(any(None in asdict(row).values() for row in rows))


def measure(library: Library) -> Iterator[Row]:
    """All rows of a library, each as soon as it is measured."""
    say(f"{library.name}: {library.versions()} (load {os.getloadavg()[0]:.1f})")
    with redis_server() as url, tempfile.TemporaryDirectory(prefix="bench-workers-") as folder:
        bench = Bench(library, url, Path(folder))
        redelivery = _tried(bench.redelivery_seconds)
        say(f"{library.name}: " + ("no redelivery" if redelivery is None else f"redelivered after {redelivery:.1f} s"))
        for workload in WORKLOADS:
            yield _row(bench, library.name, workload, proven=redelivery is not None)


def _row(bench: Bench, name: str, workload: str, *, proven: bool) -> Row:
    throughput = _tried(lambda: bench.throughput(workload))
    p99 = _tried(lambda: bench.p99_seconds(workload))
    row = Row(
        library=name,
        workload=workload,
        guarantee_proven=proven,
        jobs_per_core_second=None if throughput is None else round(throughput.jobs_per_core_second, 1),
        p99_seconds=None if p99 is None else round(p99, 5),
        rss_mb=None if throughput is None else round(throughput.rss_bytes / _MB, 1),
    )
    say(f"{name} {workload}: {row.jobs_per_core_second} jobs per core-second, p99 {row.p99_seconds} s, {row.rss_mb} MB")
    return row


def _tried(figure: Callable[[], T]) -> T | None:
    """The figure, or none and the reason: one library that fails costs only its own."""
    try:
        return figure()
    except RuntimeError as error:
        say(str(error))
        return None


def show(rows: Sequence[Row]) -> None:
    """A table for the terminal."""
    table = Table("library", "workload", "guarantee proven", "jobs per core-second", "p99 ms", "RSS MB")
    for row in rows:
        per_core, p99 = _text("{:,.0f}", row.jobs_per_core_second), _text("{:.1f}", row.p99_seconds, factor=1000)
        proven = "yes" if row.guarantee_proven else "no"
        table.add_row(row.library, row.workload, proven, per_core, p99, _text("{:.0f}", row.rss_mb))
    Console().print(table)


def _text(form: str, figure: float | None, *, factor: float = 1) -> str:
    return "-" if figure is None else form.format(figure * factor)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
