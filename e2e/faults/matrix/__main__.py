"""Tries the faults F1 to F13 and writes a row for each: `python -m e2e.faults.matrix --json FILE`.

A row is in the file as soon as its fault is over, and rows of faults that are not tried now stay there. So a suite that
was ended goes on with `--resume`, and single faults are tried anew with `--only`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from e2e.cluster.files import write_whole
from e2e.cluster.processes import end_at_sigterm
from e2e.cluster.progress import say
from e2e.faults.matrix.catalogue import catalogue
from e2e.faults.matrix.ground import Depth, Fault, Ground
from e2e.faults.matrix.report import PAGE, write_into
from e2e.faults.matrix.rows import Row, Trial, Verdict

_INTERRUPTED = 130


def main(arguments: Sequence[str]) -> int:
    """Try them; exit code 0 when each was tried and held, 1 when one did not, 130 after Ctrl-C."""
    options = _parser().parse_args(arguments)
    end_at_sigterm()
    faults = catalogue()
    rows = Rows(options.json)
    wanted = [
        fault
        for number, fault in faults.items()
        if number in (options.only or faults)
        and (options.pods or not fault.pods or options.only)
        and not (options.resume and number in rows.found)
    ]
    status = 0
    try:
        for fault in wanted:
            status = max(status, _one(fault, rows, depth=Depth(short=options.short)))
    except KeyboardInterrupt:
        say("interrupted; the rows until now stay")
        status = _INTERRUPTED
    print(json.dumps(rows.dump(), indent=2))
    if options.report:
        write_into(PAGE, rows.found, faults)
        say(f"written into {PAGE.name}")
    return status


class Rows:
    """Number -> row; in the file, too, if there is one."""

    def __init__(self, file: Path | None) -> None:
        """Take what the file holds already.

        Raises:
            OSError, ValueError: it cannot be written, or holds something else.
        """
        self._file = file
        self.found: dict[str, Row] = {}
        if file is not None and file.exists() and file.stat().st_size:
            self.found = {row.fault: row for row in map(Row.load, json.loads(file.read_text()))}
        self._write()

    def add(self, row: Row) -> None:
        """Keep it, instead of an older one."""
        self.found[row.fault] = row
        self._write()

    def dump(self) -> list[dict[str, object]]:
        """Give them in the order of their numbers."""
        return [row.dump() for _, row in sorted(self.found.items(), key=lambda one: int(one[0].removeprefix("F")))]

    def drop(self, fault: str) -> None:
        """Forget what is known of a fault: it is tried anew."""
        self.found.pop(fault, None)
        self._write()

    def _write(self) -> None:
        """As a whole: who reads it meanwhile finds no half of it."""
        if self._file is not None:
            write_whole(self._file, json.dumps(self.dump(), indent=2) + "\n")


def _one(fault: Fault, rows: Rows, *, depth: Depth) -> int:
    """Try one fault: 1, if something did not hold or it could not be tried to its end, which gives no row."""
    say(f"{fault.number}: {fault.what}")
    rows.drop(fault.number)
    started = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="faults-", ignore_cleanup_errors=True) as folder:
            trials = asyncio.run(_try(fault, Path(folder), depth=depth))
        row = Row.of(fault.number, trials, points=fault.points)
    except Exception as error:  # noqa: BLE001  of whatever kind: it would keep the others from their turn
        traceback.print_exc()
        say(f"{fault.number}: not tried to its end: {type(error).__name__}: {error}")
        return 1
    if not depth.short:
        rows.add(row)
    say(f"{fault.number}: {row.runs} runs, {row.verdict}, {time.monotonic() - started:.0f} s")
    return int(row.verdict is Verdict.BROKEN)


async def _try(fault: Fault, folder: Path, *, depth: Depth) -> list[Trial]:
    trials: list[Trial] = []
    async with Ground(home=folder, depth=depth) as ground, contextlib.aclosing(fault.trials(ground)) as trying:
        async for trial in trying:
            trials.append(trial)
            took = "" if trial.converged_seconds is None else f"{trial.converged_seconds:.1f} s"
            say(f"{fault.number}: {trial.name:60} {took:>8}  {'; '.join(trial.broken) or 'held'}")
    return trials


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m e2e.faults.matrix", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the rows there")
    parser.add_argument("--only", nargs="+", choices=list(catalogue()), metavar="FAULT", help="such as F2 F3 (all)")
    parser.add_argument("--resume", action="store_true", help="leave out faults that have a row in FILE")
    parser.add_argument("--pods", action="store_true", help="also those that take the cluster with real pods")
    parser.add_argument("--short", action="store_true", help="a little of each; gives no rows")
    parser.add_argument("--report", action="store_true", help="write the rows into docs/reliability.md")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
