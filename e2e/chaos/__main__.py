"""Plays every scenario of `wpool chaos` on real pods and reports what it saw: `python -m e2e.chaos --json FILE`.

One after the other, since most concern the whole cluster. FILE has a row as soon as its play is over. Exit code 0 when
all is as expected.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from e2e.chaos.hands import pass_again
from e2e.chaos.play import keep_on_disk, play
from e2e.cluster import Provider
from e2e.cluster.base import DEFAULT_NAME
from e2e.cluster.processes import end_at_sigterm
from e2e.cluster.progress import say
from e2e.failover.play import values
from e2e.scene import Scene, new_scene
from e2e.support.failures import FAILURES
from e2e.support.stack import Stack
from workerpool import WorkerpoolError
from workerpool_operator.cli.chaos.judge import Row
from workerpool_operator.cli.chaos.table import SCENARIOS
from workerpool_operator.cli.cluster import TroubleError


def main(arguments: Sequence[str]) -> int:
    """Play and report."""
    parser = argparse.ArgumentParser(prog="python -m e2e.chaos", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows there")
    parser.add_argument("--provider", type=Provider, choices=list(Provider), default=Provider.AUTO)
    parser.add_argument("--name", default=DEFAULT_NAME, help="of the cluster (default: %(default)s)")
    parser.add_argument("--only", action="append", choices=list(SCENARIOS), help="this one; may be given again")
    options = parser.parse_args(arguments)
    end_at_sigterm()
    chosen = options.only or list(SCENARIOS)
    rows: list[Row] = []
    try:
        stack = Stack.ensure(provider=options.provider, name=options.name, values=values(collectors=2))
        if stack.cluster.provider != "local":
            say("chaos: needs the local provider, whose nodes are processes of this machine")
            return 1
        pass_again()  # what a run has left that was killed
        with new_scene(stack, redis_node=stack.cluster.nodes[0]) as scene:
            keep_on_disk(scene)
            scene.apply("resident")  # so that the collector stays
            for name in chosen:
                rows.append(_row(name, scene))
                say(f"{'ok ' if rows[-1].ok else 'NOT'} {name}: {rows[-1].observed}")
                _write(options.json, rows)
    except FAILURES as error:
        say(f"chaos: {error}")
        return 1
    return 0 if len(rows) == len(chosen) and all(row.ok for row in rows) else 1


def _row(name: str, scene: Scene) -> Row:
    """Its row, however it ends: one that could not be played must not keep the others from their turn."""
    try:
        return play(name, scene)
    except (TroubleError, WorkerpoolError, *FAILURES) as error:
        scenario = SCENARIOS[name]
        observed = f"could not be played: {error}"
        return Row(
            scenario=name,
            expected=scenario.expected,
            observed=observed,
            recovered_seconds=None,
            jobs_lost=None,
            ok=False,
        )


def _write(file: Path | None, rows: Sequence[Row]) -> None:
    if file:
        file.write_text(json.dumps([row.to_json() for row in rows], indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
