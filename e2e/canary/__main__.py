"""Plays every scenario of a canary on real pods and reports what it saw: `python -m e2e.canary --json FILE`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path

from e2e.canary.faults import fresh_operator
from e2e.canary.scenarios import FAULTY, SCENARIOS, Row, play
from e2e.cluster import Provider
from e2e.cluster.base import DEFAULT_NAME
from e2e.cluster.processes import end_at_sigterm
from e2e.cluster.progress import say
from e2e.scene import new_scene
from e2e.support.failures import FAILURES
from e2e.support.stack import TEST_VALUES, Stack

_KEYS = ("scenario", "verdict", "expected", "seconds_to_verdict", "jobs_lost")


def main(arguments: Sequence[str]) -> int:
    """Play and report; exit code 0 when all is as it has to be."""
    names = [scenario.name for scenario in (*SCENARIOS, *FAULTY)]
    parser = argparse.ArgumentParser(prog="python -m e2e.canary", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows there")
    parser.add_argument("--provider", type=Provider, choices=list(Provider), default=Provider.AUTO)
    parser.add_argument("--name", default=DEFAULT_NAME, help="of the cluster (default: %(default)s)")
    parser.add_argument("--only", action="append", choices=names, help="this scenario; may be given again")
    parser.add_argument("--at-once", type=int, default=3, metavar="N", help="scenarios beside each other (%(default)s)")
    options = parser.parse_args(arguments)
    end_at_sigterm()
    chosen = [one for one in SCENARIOS if not options.only or one.name in options.only]
    faulty = [one for one in FAULTY if not options.only or one.name in options.only]
    rows: list[Row] = []
    try:
        stack = Stack.ensure(provider=options.provider, name=options.name, values=TEST_VALUES)
        with (
            new_scene(stack, redis_node=stack.cluster.nodes[0]) as scene,
            ThreadPoolExecutor(options.at_once) as players,
        ):
            scene.apply("resident")  # so that the collector stays
            for done in as_completed(players.submit(play, scenario, scene) for scenario in chosen):
                rows.append(done.result())
                say(_line(rows[-1]))
            for scenario in faulty:
                fresh_operator(scene)
                rows.append(play(scenario, scene))
                say(_line(rows[-1]))
    except FAILURES as error:
        say(f"canary: {error}")
        return 1
    finally:
        if options.json:
            options.json.write_text(json.dumps([_told(row) for row in rows], indent=2) + "\n")
    return 0 if len(rows) == len(chosen) + len(faulty) and all(row.ok for row in rows) else 1


def _told(row: Row) -> dict[str, object]:
    return {key: value for key, value in asdict(row).items() if key in _KEYS}


def _line(row: Row) -> str:
    within = f"after {row.seconds_to_verdict:g} s (at most {row.seconds_allowed:g})"
    work = f"{row.jobs} jobs at {row.jobs_per_minute:g} a minute, {row.jobs_lost} lost"
    return f"{'ok ' if row.ok else 'NOT'} {row.scenario}: {row.verdict}, expected {row.expected}, {within}; {work}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
