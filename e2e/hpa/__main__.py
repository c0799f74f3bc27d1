"""Plays every scenario of mode hpa and reports what it saw: `python -m e2e.hpa --json FILE`."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from itertools import chain, groupby
from pathlib import Path

from e2e.cluster import Provider
from e2e.cluster.arguments import Extra
from e2e.cluster.base import DEFAULT_NAME
from e2e.cluster.controlplane import ControlPlane
from e2e.cluster.processes import end_at_sigterm
from e2e.cluster.progress import say
from e2e.faults.f1 import install
from e2e.hpa import on_plane, on_pods
from e2e.hpa.record import Record, table
from e2e.scene import new_scene
from e2e.support.failures import FAILURES
from e2e.support.stack import TEST_VALUES, Stack


def main(arguments: Sequence[str]) -> int:
    """Play and report; exit code 0 when all is as it has to be."""
    parser = argparse.ArgumentParser(prog="python -m e2e.hpa", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows there")
    parser.add_argument("--provider", type=Provider, choices=list(Provider), default=Provider.AUTO)
    parser.add_argument("--name", default=DEFAULT_NAME, help="of the cluster (default: %(default)s)")
    options = parser.parse_args(arguments)
    end_at_sigterm()
    records: list[Record] = []
    try:
        for record in chain(_on_planes(), _on_pods(options)):
            records.append(record)
            say(table([record]))
    except FAILURES as error:
        say(f"hpa: {error}")
        return 1
    finally:
        if options.json:
            options.json.write_text(json.dumps([record.row for record in records], indent=2) + "\n")
    return 0 if records and all(record.ok for record in records) else 1


def _on_planes() -> Iterator[Record]:
    for gates, scenarios in groupby(on_plane.PLANE_SCENARIOS, key=lambda scenario: scenario.gates):
        with tempfile.TemporaryDirectory(prefix="hpa-") as folder:
            home = Path(folder)
            with ControlPlane(name="hpa", data_dir=home / "plane", extra=Extra(feature_gates=gates)) as plane:
                install(plane)
                for scenario in scenarios:
                    yield asyncio.run(on_plane.play(scenario, plane, home=home))


def _on_pods(options: argparse.Namespace) -> Iterator[Record]:
    stack = Stack.ensure(provider=options.provider, name=options.name, values=TEST_VALUES)
    with new_scene(stack) as scene:
        scene.apply("resident")  # so that the collector stays
        scene.made.clear()
        for scenario in on_pods.POD_SCENARIOS:
            yield on_pods.play(scenario, scene)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
