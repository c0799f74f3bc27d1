"""`python -m e2e.demo`: see the operator scale real pods, or take the demo away again."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from e2e.cluster import Provider
from e2e.cluster.base import DEFAULT_NAME
from e2e.cluster.progress import say
from e2e.demo.prepare import NAMESPACE, Stage, prepare
from e2e.demo.result import Result
from e2e.demo.show import Shown, show
from e2e.demo.teardown import teardown
from e2e.demo.view import View
from e2e.support import diagnose
from e2e.support.failures import FAILURES
from workerpool.broker import BrokerError
from workerpool_operator.kube import KubeError

OK, NOT_AS_PROMISED, NO_STAGE, STOPPED = 0, 1, 2, 130

_EPILOG = """\
It brings up what is missing of: a cluster with two nodes, the images, the operator by its Helm chart, a Redis and a
pool; sends bursts of jobs; shows depth, wanted, ready and busy workers until the pool is back at zero; ends with what
was measured. Everything stays up to look around until --down.

exit codes: 0 all went well; 1 a job was lost or interrupted, or the pool did not do as promised; 2 it could not be set
up; 130 stopped by Ctrl-C
"""


def main(arguments: Sequence[str]) -> int:
    """Run the demo, or remove it; give the exit code."""
    options = _parser().parse_args(arguments)
    began = time.monotonic()
    try:
        if options.down:
            teardown(provider=options.provider, name=options.name)
            return OK
        stage = prepare(provider=options.provider, name=options.name)
    except FAILURES as error:
        say(f"demo: {error}")
        return NO_STAGE
    except KeyboardInterrupt:
        say("demo: stopped; `make demo-down` removes what is there")
        return STOPPED
    return _perform(stage, began=began, json_file=options.json)


def _perform(stage: Stage, *, began: float, json_file: Path | None) -> int:
    console = Console()
    try:
        with View(console) as view:
            shown, stopped = asyncio.run(_show(stage, view))
    except (*FAILURES, BrokerError, KubeError) as error:
        say(f"demo: {error}\n{diagnose.report(stage.stack.kubectl, NAMESPACE)}")
        return NOT_AS_PROMISED
    result = Result(
        shown=shown,
        provider=stage.stack.cluster.provider,
        nodes=len(stage.stack.cluster.nodes),
        setup=stage.stack.seconds,
        seconds_total=time.monotonic() - began,
    )
    result.print(console)
    if json_file:
        json_file.write_text(json.dumps(result.to_json(), indent=2) + "\n")
    if stopped:
        return STOPPED
    if result.broken_promises():
        say(diagnose.report(stage.stack.kubectl, NAMESPACE))
        return NOT_AS_PROMISED
    return OK


async def _show(stage: Stage, view: View) -> tuple[Shown, bool]:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return await show(stage, view, stop=stop), stop.is_set()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m e2e.demo",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to this file, as one object")
    parser.add_argument("--down", action="store_true", help="remove everything that the demo started")
    parser.add_argument("--provider", type=Provider, choices=list(Provider), default=Provider.AUTO)
    parser.add_argument("--name", default=DEFAULT_NAME, help="of the cluster (default: %(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
