"""Kill workers under load, again and again, and count what became of the jobs: `make storm JSON=FILE`.

For each broker: 10,000 jobs of 20 to 200 ms, six worker processes with four jobs at a time each, and SIGKILL to one of
them until 200 of those kills hit a worker with a job; a new worker follows each. Redis itself gets SIGKILL at half time
and is started again on its files. Real are the processes, the broker and its files; nothing is played.

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
ended by itself, or nothing moved for a minute. Then the files are kept for a look.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

from rich.console import Console
from rich.table import Table

from e2e.cluster.processes import end_at_sigterm
from e2e.cluster.progress import say
from e2e.faults.storm.brokers import BROKERS
from e2e.faults.storm.driver import Plan, Row, Stalled, Storm
from e2e.faults.storm.fleet import WorkerEnded
from workerpool import WorkerpoolError

_INTERRUPTED = 130


def main(arguments: Sequence[str]) -> int:
    """Run the storm on each broker; see the module's text for the exit status."""
    options = _parser().parse_args(arguments)
    end_at_sigterm()
    plan = Plan(jobs=options.jobs, kills=options.kills, workers=options.workers, seed=options.seed)
    folder = Path(tempfile.mkdtemp(prefix="storm-"))
    rows: list[Row] = []
    status = 0
    try:
        for name in options.brokers or BROKERS:
            status = max(status, _one(name, plan, folder / name, rows))
    except KeyboardInterrupt:
        say("interrupted; what was found until now:")
        status = _INTERRUPTED
    _show(rows)
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
    if status == 1:
        say(f"logs and stores are in {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return status


def _one(name: str, plan: Plan, folder: Path, rows: list[Row]) -> int:
    """One broker's storm, whose row is kept however it ends."""
    folder.mkdir()
    broken: list[str] = []
    started = time.monotonic()
    with BROKERS[name](folder) as broker:
        storm = Storm(name=name, broker=broker, plan=plan, folder=folder)
        try:
            asyncio.run(storm.run())
        except (Stalled, WorkerEnded, WorkerpoolError) as error:
            broken.append(str(error))
        finally:
            rows.append(storm.row())
            skipped = storm.found().skipped
            storm.close()
    say(f"{name}: {time.monotonic() - started:.0f} s; job.once kept {skipped} repeated jobs from a second effect")
    broken += rows[-1].broken(plan)
    for text in broken:
        say(f"BROKEN {name}: {text}")
    return 1 if broken else 0


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
    parser.add_argument("--kills", type=int, default=plan.kills, metavar="N", help=f"that hit (default: {plan.kills})")
    parser.add_argument("--workers", type=int, default=plan.workers, metavar="N", help=f"(default: {plan.workers})")
    parser.add_argument("--seed", type=int, default=plan.seed, help=f"of jobs and kills (default: {plan.seed})")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
