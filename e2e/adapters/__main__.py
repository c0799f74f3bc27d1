"""Workers of other libraries, adapted by two lines, under a pool's contract: `make test-adapters JSON=FILE`.

Each library runs in an environment of its own (`locks/`, installed on demand below ~/.cache/workerpool-operator), with
real worker processes, a real Redis and a played collector. A library whose environment cannot be made (PyPI is needed)
or that does not keep the contract is said on the terminal, and the exit status is then 1.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from pathlib import Path

from rich.console import Console
from rich.table import Table

from e2e.adapters.libraries import APPS_UNDER_TEST, App
from e2e.adapters.scenario import Row, prove
from e2e.cluster.processes import end_at_sigterm
from e2e.cluster.progress import say
from e2e.support.environments import NoEnvironmentError


def main(arguments: Sequence[str]) -> int:
    """Prove, print, and write JSON where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = sorted({app.library for app in APPS_UNDER_TEST})
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows there")
    parser.add_argument("--libraries", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names))
    options = parser.parse_args(arguments)
    end_at_sigterm()
    apps = [app for app in APPS_UNDER_TEST if app.library in options.libraries]
    found = [row for app in apps if (row := _proved(app)) is not None]
    rows = list(by_library(found))
    show(rows)
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
    return 0 if len(found) == len(apps) and all(kept(row) for row in rows) else 1


def by_library(rows: Sequence[Row]) -> Iterator[Row]:
    """One row for each library: all of its variants together."""
    for library in dict.fromkeys(row.library for row in rows):
        variants = [row for row in rows if row.library == library]
        yield Row(
            library=library,
            jobs=sum(row.jobs for row in variants),
            interrupted=sum(row.interrupted for row in variants),
            repeated=sum(row.repeated for row in variants),
            lost=sum(row.lost for row in variants),
            metrics_ok=all(row.metrics_ok for row in variants),
            drain_ok=all(row.drain_ok for row in variants),
            kill_ok=all(row.kill_ok for row in variants),
        )


def kept(row: Row) -> bool:
    """Whether the contract was."""
    return row.metrics_ok and row.drain_ok and row.kill_ok and not row.interrupted and not row.lost


def _proved(app: App) -> Row | None:
    say(f"{app.name} ...")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="adapters-") as folder:
        try:
            row = asyncio.run(prove(app, Path(folder)))
        except NoEnvironmentError as error:
            say(f"{app.name}: {error}")
            return None
    say(f"{app.name}: {'kept' if kept(row) else 'NOT kept'}, {row.jobs} jobs in {time.monotonic() - began:.0f} s")
    return row


def show(rows: Sequence[Row]) -> None:
    """A table for the terminal."""
    table = Table(*(field.name.replace("_", " ") for field in fields(Row)))
    for row in rows:
        table.add_row(*(str(value) for value in asdict(row).values()))
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
