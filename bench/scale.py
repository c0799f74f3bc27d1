"""The operator at thousands of pools: what a cold start costs, and what it costs to have them at rest.

uv run python -m bench.scale --pools 5000 --json scale.json
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.fleet import Fleet, stage
from e2e.cluster.processes import end_at_sigterm
from e2e.cluster.progress import say

REST_SECONDS = 60.0
CALM_SECONDS = 10.0
CALM_REQUESTS = 25
CALM_LOOKS = 25


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What was measured. Seconds of CPU are the operator's own, user and system."""

    pools: int
    namespaces: int
    create_seconds: float
    """From the first pool created to the last one with its objects and a status."""
    create_cpu_seconds: float
    start_seconds: float
    """From the start of a new operator process, over existing pools, until every pool was reconciled."""
    start_cpu_seconds: float
    settled_cpu_seconds: float
    """From that start until nothing moved any more: the collectors have dialled and every pool has their word."""
    start_api_requests: int
    start_writes: int
    rss_mb: float
    rest_cpu_percent_of_core: float
    rest_api_requests_per_second: float
    rest_reconciles_per_second: float


@dataclass(kw_only=True)
class Bench(Fleet):
    """The measurements."""

    async def run(self) -> Figures:
        """All measurements, in order."""
        await self.start()
        before, started = self.cpu(), time.monotonic()
        await self.create()
        create = (time.monotonic() - started, self.cpu() - before)
        say(f"created in {create[0]:.0f} s")
        await self.make_all_ready()
        collectors = [asyncio.create_task(self.collector(number).run()) for number in range(self.namespaces)]
        await self._calm()
        self.stage.operator.kill()
        started = time.monotonic()
        self.stage.operator.start()
        await self.until("every pool was reconciled again", self._all_counted, every=0.5)
        start = (time.monotonic() - started, self.cpu(), await self.metric("workerpool_operator_api_requests_total"))
        writes = await self.metric("workerpool_operator_api_requests_total", 'verb="apply"')
        say(f"restarted in {start[0]:.0f} s")
        await self._calm()
        settled = self.cpu()
        requests = await self.metric("workerpool_operator_api_requests_total")
        reconciled = await self.metric("workerpool_operator_reconcile_total")
        cpu = self.cpu()
        await asyncio.sleep(REST_SECONDS)
        rest_cpu = self.cpu() - cpu
        rest_reconciles = await self.metric("workerpool_operator_reconcile_total") - reconciled
        rest_requests = await self.metric("workerpool_operator_api_requests_total") - requests
        for collector in collectors:
            collector.cancel()
        await asyncio.gather(*collectors, return_exceptions=True)
        return Figures(
            pools=self.pools,
            namespaces=self.namespaces,
            create_seconds=round(create[0], 1),
            create_cpu_seconds=round(create[1], 1),
            start_seconds=round(start[0], 1),
            start_cpu_seconds=round(start[1], 1),
            settled_cpu_seconds=round(settled, 1),
            start_api_requests=int(start[2]),
            start_writes=int(writes),
            rss_mb=round(self.process().memory_info().rss / 2**20, 1),
            rest_cpu_percent_of_core=round(100 * rest_cpu / REST_SECONDS, 2),
            rest_api_requests_per_second=round(rest_requests / REST_SECONDS, 2),
            rest_reconciles_per_second=round(rest_reconciles / REST_SECONDS, 2),
        )

    async def _calm(self) -> None:
        """Wait until the operator makes no more requests than its lease does, and looks at hardly any pool."""
        while True:
            requests = await self.metric("workerpool_operator_api_requests_total")
            looks = await self.metric("workerpool_operator_reconcile_total")
            await asyncio.sleep(CALM_SECONDS)
            requests = await self.metric("workerpool_operator_api_requests_total") - requests
            looks = await self.metric("workerpool_operator_reconcile_total") - looks
            if requests <= CALM_REQUESTS and looks <= CALM_LOOKS:
                return

    async def _all_counted(self) -> bool:
        if not await self.leads():
            return False
        return await self.metric("workerpool_operator_reconcile_total") >= self.pools + self.namespaces


async def _measure(pools: int, namespaces: int, home: Path) -> Figures:
    async with stage("bench-scale", home=home) as made:
        return await Bench(stage=made, pools=pools, namespaces=namespaces).run()


def main() -> int:
    """Measure, print, and write the figures to a file."""
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pools", type=int, default=5000, help="how many pools (default 5000)")
    parser.add_argument("--namespaces", type=int, default=50, help="over how many namespaces (default 50)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 65536)), hard))
    end_at_sigterm()
    with tempfile.TemporaryDirectory(prefix="wp-scale-") as home:
        figures = asyncio.run(_measure(arguments.pools, arguments.namespaces, Path(home)))
    text = json.dumps(asdict(figures), indent=2)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
