"""Kill workers under load, again and again, and count what became of the jobs: `make storm JSON=FILE`.

For each broker, one after the other: 10,000 jobs of 20 to 200 ms, six worker processes with four jobs at a time each,
and SIGKILL to one of them until 200 of those kills hit a worker with a job; a new worker follows each. The broker gets
SIGKILL at half time and is started again on its files. Real are the processes, the broker and its files; nothing is
played.

| Column | Counts |
|---|---|
| `enqueued` | jobs that the producer was told were enqueued |
| `done` | jobs whose handler ran to its end |
| `lost` | enqueued, not done, and in the queue no more; a dead letter is lost too |
| `duplicates` | how far an unguarded counter at the end of the handler is off |
| `effects_wrong` | jobs with an effect under `job.once` that is missing or there twice |
| `kills`, `kills_hitting_busy` | all of them; those that left a begun run without an end in the store |
| `broker_restarts` | SIGKILL to the broker, and its start |

The exit status is not 0 when a job was lost, an effect is wrong, fewer kills than asked for hit a busy worker, a worker
ended by itself, nothing moved for a minute, or a broker could not be run at all; the other brokers have their turn all
the same. Then the files are kept for a look. FILE has a broker's row as soon as its storm is over.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

from rich.console import Console
from rich.table import Table

from e2e.cluster.files import write_whole
from e2e.cluster.processes import end_at_sigterm
from e2e.cluster.progress import say
from e2e.faults.storm.brokers import BROKERS
from e2e.faults.storm.driver import Plan, Row, Stalled, Storm
from e2e.faults.storm.fleet import WorkerEnded
from workerpool import WorkerpoolError

_INTERRUPTED = 130
_JOBS_PER_KILL = 50


def main(arguments: Sequence[str]) -> int:
    """Run the storm on each broker; see the module's text for the exit status."""
    options = _parser().parse_args(arguments)
    end_at_sigterm()
    kills = options.jobs // _JOBS_PER_KILL if options.kills is None else options.kills
    plan = Plan(jobs=options.jobs, kills=kills, workers=options.workers, seed=options.seed)
    rows = _Rows(options.json)
    folder = Path(tempfile.mkdtemp(prefix="storm-"))
    status = 0
    names = options.brokers or list(BROKERS)
    try:
        for number, name in enumerate(names, 1):
            say(f"{name}: broker {number} of {len(names)}")
            status = max(status, _one(name, plan, folder / name, rows))
    except KeyboardInterrupt:
        say("interrupted; what was found until now:")
        status = _INTERRUPTED
    _show(rows.found)
    if status == 1:
        say(f"logs and stores are in {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return status


class _Rows:
    """What was found until now; in the file, too, if there is one."""

    def __init__(self, file: Path | None) -> None:
        """Raises OSError when it cannot be written: now, and not when all is done."""
        self.found: list[Row] = []
        self._file = file
        self._write()

    def add(self, row: Row) -> None:
        """Of a broker whose storm is over."""
        self.found.append(row)
        self._write()

    def _write(self) -> None:
        """As a whole: who reads it meanwhile, or after an end in the midst of this, finds no half of it."""
        if self._file is not None:
            write_whole(self._file, json.dumps([asdict(row) for row in self.found], indent=2) + "\n")


def _one(name: str, plan: Plan, folder: Path, rows: _Rows) -> int:
    """One broker's storm: 1, if something does not hold."""
    folder.mkdir()
    started = time.monotonic()
    try:
        broken = _blow(name, plan, folder, rows)
    except Exception as error:  # noqa: BLE001  of whatever kind: it would keep the other brokers from their turn
        traceback.print_exc()
        broken = [f"{type(error).__name__}: {error}"]
    say(f"{name}: {time.monotonic() - started:.0f} s")
    for text in broken:
        say(f"BROKEN {name}: {text}")
    return 1 if broken else 0


def _blow(name: str, plan: Plan, folder: Path, rows: _Rows) -> list[str]:
    """Its row is kept however it ends. What does not hold."""
    broken: list[str] = []
    with BROKERS[name](folder) as broker:
        storm = Storm(name=name, broker=broker, plan=plan, folder=folder)
        try:
            asyncio.run(storm.run())
        except (Stalled, WorkerEnded, WorkerpoolError) as error:
            broken.append(str(error))
        finally:
            rows.add(storm.row())
            skipped = storm.found().skipped
            storm.close()
    say(f"{name}: job.once kept {skipped} repeated jobs from a second effect")
    return broken + rows.found[-1].broken(plan)


def _show(rows: Sequence[Row]) -> None:
    table = Table(*(field.name.replace("_", " ") for field in fields(Row)), box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(str(value) for value in asdict(row).values()))
    Console().print(table)


def _parser() -> argparse.ArgumentParser:
    plan = Plan()
    parser = argparse.ArgumentParser(
        prog="python -m e2e.faults.storm", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows there")
    parser.add_argument("--brokers", nargs="+", choices=BROKERS, metavar="NAME", help=f"of {', '.join(BROKERS)} (all)")
    parser.add_argument("--jobs", type=int, default=plan.jobs, metavar="N", help=f"jobs (default: {plan.jobs})")
    per_kill = f"that hit (default: one for {_JOBS_PER_KILL} jobs)"
    parser.add_argument("--kills", type=int, metavar="N", help=per_kill)
    parser.add_argument("--workers", type=int, default=plan.workers, metavar="N", help=f"(default: {plan.workers})")
    parser.add_argument("--seed", type=int, default=plan.seed, help=f"of jobs and kills (default: {plan.seed})")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
