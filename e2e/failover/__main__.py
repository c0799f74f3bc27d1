"""Loses a node for real and reports what became of its pool: `python -m e2e.failover --json FILE`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from e2e.cluster import Provider
from e2e.cluster.base import DEFAULT_NAME
from e2e.cluster.processes import end_at_sigterm
from e2e.cluster.progress import say
from e2e.failover.play import play, values
from e2e.scene import new_scene
from e2e.support.failures import FAILURES
from e2e.support.stack import Stack


def main(arguments: Sequence[str]) -> int:
    """Play and report; exit code 0 when all is as it has to be."""
    parser = argparse.ArgumentParser(prog="python -m e2e.failover", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    parser.add_argument("--provider", type=Provider, choices=list(Provider), default=Provider.AUTO)
    parser.add_argument("--name", default=DEFAULT_NAME, help="of the cluster (default: %(default)s)")
    parser.add_argument("--collectors", type=int, choices=[1, 2], default=2, help="of the namespace (default: 2)")
    options = parser.parse_args(arguments)
    end_at_sigterm()
    try:
        stack = Stack.ensure(provider=options.provider, name=options.name, values=values(options.collectors))
        with new_scene(stack, redis_node=stack.cluster.nodes[0]) as scene:
            row = play(scene, collectors=options.collectors)
    except FAILURES as error:
        say(f"failover: {error}")
        return 1
    say(json.dumps(asdict(row)))
    if options.json:
        options.json.write_text(json.dumps(asdict(row), indent=2) + "\n")
    return 0 if row.ok else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
