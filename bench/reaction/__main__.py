"""Five scalers beside each other, on real pods: `uv run python -m bench.reaction --json FILE`.

One run, one Redis, one worker image, one load: ours in modes direct and hpa; KEDA as it is by default and at its
quickest; an HPA that prometheus-adapter tells what Prometheus knows. Two traces, each from rest:

* **burst**: 60 jobs of 60 s at once, at 5 a worker, so that all of 12 workers are needed;
* **ramp**: jobs come faster for a minute, at 2.8 a second for a minute, slower for a minute. Seven of eight take 6 s,
  the eighth 40 s, which is longer than the 30 s that a pod has to end by default.

What each figure is, exactly: `bench/reaction/figures.py`; what each scaler is told: `bench/reaction/manifests.py`.
A scaler and a trace take 2 to 5 minutes, all of it 40. Ctrl-C keeps what was measured. Figures of several runs, each
of a part, are joined by `jq -s add`.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.reaction import scalers
from bench.reaction.figures import SCALERS, Row, Seen, bars
from bench.reaction.play import NotMeasuredError, Place, play
from bench.reaction.scalers import Ground, Scaler
from bench.reaction.traces import TRACES, Trace
from bench.reaction.watching import watching
from e2e.cluster import Provider
from e2e.cluster.base import DEFAULT_NAME
from e2e.cluster.processes import end_at_sigterm
from e2e.cluster.progress import Step, say
from e2e.monitoring.adapter import TakenError
from e2e.support import diagnose, redis
from e2e.support.failures import FAILURES
from e2e.support.stack import Stack
from e2e.support.wait import until, wait_for
from workerpool import Queue
from workerpool.broker import BrokerError
from workerpool.redis import Redis
from workerpool_operator.kube import ClusterAccess, KubeError

NAMESPACE = "bench-reaction"
REST_SECONDS = 120.0
_WRONG = (*FAILURES, NotMeasuredError, BrokerError, KubeError, TakenError)


@dataclass(kw_only=True)
class Bench:
    """The measurements, in order; what was measured stays whatever comes."""

    ground: Ground
    url: str
    """Of the Redis, as seen from this machine."""
    keep: Callable[[Sequence[Row]], None]
    """Called with all rows after each one."""
    rows: list[Row] = field(default_factory=list)
    failed: int = 0

    def run(self, chosen: Sequence[Scaler], traces: Sequence[Trace]) -> None:
        """Measure each scaler on each trace; one that cannot be measured does not keep the others from it."""
        for _, group in itertools.groupby(chosen, key=type):
            alike = list(group)
            try:
                self._group(alike, traces)
            except _WRONG as error:
                self.failed += 1
                say(f"bench: {', '.join(scaler.name for scaler in alike)}: {error}")

    def _group(self, alike: Sequence[Scaler], traces: Sequence[Trace]) -> None:
        """Measure those that need the same things in the cluster."""
        streams = [_stream(scaler, trace) for scaler in alike for trace in traces]
        asyncio.run(self._make(streams))
        with scalers.installed(self.ground, alike[0], streams):
            for scaler, trace in itertools.product(alike, traces):
                self._one(scaler, trace)

    def _one(self, scaler: Scaler, trace: Trace) -> None:
        kubectl, name = self.ground.stack.kubectl, _stream(scaler, trace)
        try:
            with Step(f"{scaler.name}, {trace.name}"):
                try:
                    scaler.put(self.ground, name)
                    row = asyncio.run(self._measure(scaler, trace))
                finally:
                    scaler.remove(self.ground, name)
                    wait_for(lambda: not self._pods(scaler, name), seconds=REST_SECONDS, what="its workers gone")
        except _WRONG as error:
            self.failed += 1
            say(f"bench: {scaler.name}, {trace.name}: {error}\n{diagnose.report(kubectl, self.ground.namespace)}")
            return
        self.rows.append(row)
        self.keep(self.rows)
        say(f"  {json.dumps(row.to_json())}, load {os.getloadavg()[0]:.1f}")

    async def _measure(self, scaler: Scaler, trace: Trace) -> Row:
        name = _stream(scaler, trace)
        access = await ClusterAccess.from_kubeconfig(self.ground.stack.cluster.kubeconfig)
        async with (
            watching(access, namespace=self.ground.namespace, selector=f"{scaler.label}={name}") as watch,
            self._redis(name) as own,
        ):

            async def rests() -> bool:
                return watch.rests(scaler.rest)

            await until(rests, seconds=REST_SECONDS, what=f"{scaler.rest} workers at rest")
            await scaler.moment(self.ground, name, own)
            played = await play(
                trace,
                Place(url=self.url, stream=name, group=name),
                over=lambda: watch.rests(0),
                tell=lambda text: say(f"  {scaler.name}, {trace.name}, {text}"),
            )
            seen = Seen(
                ready=watch.ready(since=played.began),
                sizes=watch.sizes(since=played.began),
                works=played.works,
                jobs=played.jobs,
                waits=played.outcome.waits,
                interrupted=played.outcome.interrupted,
            )
        return Row.of(scaler.name, trace, seen)

    async def _make(self, streams: Sequence[str]) -> None:
        """Make streams and groups before anybody looks at them, as a producer that was there first."""
        for stream in streams:
            async with self._redis(stream) as own:
                await own.call("XGROUP", "CREATE", stream, stream, "0", "MKSTREAM")

    def _redis(self, stream: str) -> Redis:
        return Redis(Queue.connect(self.url, stream=stream, group=stream))

    def _pods(self, scaler: Scaler, name: str) -> bool:
        where = self.ground.namespace
        return bool(self.ground.stack.kubectl.list("pods", namespace=where, selector=f"{scaler.label}={name}"))


def _stream(scaler: Scaler, trace: Trace) -> str:
    """Name the stream, its group, and the pool or Deployment on it."""
    return f"{scaler.name}-{trace.name}"


def _tables(rows: Sequence[Row]) -> list[Table]:
    figures = Table(title="Reaction", title_justify="left", box=None, pad_edge=False)
    for column in ("scaler", "trace", "first s", "all s", "wait s", "wasted", "cut", "changes"):
        figures.add_column(column, overflow="fold")
    for row in rows:
        figures.add_row(*("never" if value is None else str(value) for value in row.to_json().values()))
    promises = Table(title="Bars", title_justify="left", box=None, pad_edge=False)
    for column in ("promise", "found", ""):
        promises.add_column(column)
    for bar in bars(rows):
        promises.add_row(bar.promise, bar.found, "[green]met[/]" if bar.kept else "[bold red]MISSED[/]")
    return [figures, promises]


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.reaction", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows to this file, as one array")
    parser.add_argument("--scalers", nargs="+", choices=SCALERS, default=SCALERS, help="only these")
    parser.add_argument("--traces", nargs="+", choices=list(TRACES), default=list(TRACES), help="only these")
    parser.add_argument("--provider", type=Provider, choices=list(Provider), default=Provider.AUTO)
    parser.add_argument("--name", default=DEFAULT_NAME, help="of the cluster (default: %(default)s)")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    """Measure; exit with 0 when all of it was, whatever the figures, with 1 when something could not be."""
    options = _options(arguments)
    end_at_sigterm()

    def keep(rows: Sequence[Row]) -> None:
        if options.json:
            options.json.write_text(json.dumps([row.to_json() for row in rows], indent=2) + "\n")

    chosen = [scaler for scaler in scalers.ALL if scaler.name in options.scalers]
    traces = [TRACES[name] for name in TRACES if name in options.traces]
    rows: list[Row] = []
    code = 0
    try:
        stack = Stack.ensure(provider=options.provider, name=options.name, values=scalers.VALUES)
        scalers.prepare(stack, chosen)
        with stack.namespace(NAMESPACE) as namespace:
            server = redis.deploy(stack.kubectl, namespace, image=stack.images.redis)
            with server.forwarded() as url:
                ground = Ground(stack=stack, namespace=namespace, redis=server)
                bench = Bench(ground=ground, url=url, keep=keep, rows=rows)
                bench.run(chosen, traces)
                code = 1 if bench.failed else 0
    except _WRONG as error:
        say(f"bench: {error}")
        code = 1
    except KeyboardInterrupt:
        say("bench: stopped; this is what was measured until then")
        code = 130
    console = Console()
    for table in _tables(rows):
        console.print(table, "" if table.row_count else "  none")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
