"""`python -m bench.rest`: what an operator costs while nothing happens, by what its collectors say of that.

Thousands of pools on a real API server, with workers that have nothing to do, as their collectors tell (played, one a
namespace). Two windows in one run, on the same operator: in the first the collectors repeat what has not changed, as
those of protocol 1 did, each pool's workers some seconds after one of them has spoken; in the second they say once what
is, and then that it holds. The operator hears nothing else, and writes nothing.

| Figure | Means |
|---|---|
| `repeated_millicores`, `held_millicores` | CPU of the operator's process in the window, in thousandths of a core |
| `rss_mb` | its resident memory in the second window |
| `requests_per_second` | to the API server, in the second window, as the operator counts them |
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import tempfile
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp

from bench.fleet import WORKERS, Fleet, for_each, namespace_of, pool_of, stage
from bench.interrupt import end_at_first_signal
from bench.pools import usage
from bench.scale.played import PlayedCollector
from e2e.cluster.progress import say
from e2e.faults.collector import Script, ScriptedCollector, collector_token
from workerpool.protocol import REPORT_MAX_SECONDS
from workerpool_operator.collector.board import SAME_WAITS_SECONDS
from workerpool_operator.collector.cadence import CONFIRM_IDLE_SECONDS
from workerpool_operator.kube import kinds

QUEUE: Final = "main"
SETTLE_SECONDS: Final = 45.0
"""All is told, all statuses are written, and what a change of collectors makes due is done."""
_TURN_SECONDS: Final = SAME_WAITS_SECONDS + REPORT_MAX_SECONDS / WORKERS
_TICK_SECONDS: Final = 0.25


@dataclass(kw_only=True)
class RepeatingCollector(PlayedCollector):
    """One that tells of its pools in turn, again and again; of the queue less often."""

    held: bool = False

    async def _report_for_ever(self, stream: aiohttp.ClientWebSocketResponse) -> None:
        with suppress(aiohttp.ClientError, OSError):
            for pool in self.scripts:
                await self._report(stream, pool)
            await self._report_in_turn(stream)

    async def _report_in_turn(self, stream: aiohttp.ClientWebSocketResponse) -> None:
        turns, told = deque(self.scripts), 0
        rounds = max(1, int(CONFIRM_IDLE_SECONDS / _TURN_SECONDS))
        pause = max(_TICK_SECONDS, _TURN_SECONDS / len(turns))
        while True:
            await asyncio.sleep(pause)
            for _ in range(math.ceil(len(turns) * pause / _TURN_SECONDS)):
                tell = self._tell_workers if told // len(turns) % rounds else self._report
                await tell(stream, turns[0])
                turns.rotate(-1)
                told += 1


class RestingFleet(Fleet):
    """Pools whose pods nobody marks, as there are none."""

    async def create_pool(self, number: int) -> None:
        """Make one pool."""
        redis = {"url": "redis://redis:6379/0", "stream": f"jobs-{number}", "group": "workers"}
        await self.stage.kube.create(
            {
                "apiVersion": kinds.WORKER_POOL.api_version,
                "kind": kinds.WORKER_POOL.kind,
                "metadata": {"name": pool_of(number), "namespace": self.home(number)},
                "spec": {
                    "worker": {"image": "registry.example/worker:1"},
                    "queues": [{"name": QUEUE, "redisStream": redis}],
                    "scaling": {"mode": "direct", "minReplicas": WORKERS},
                    "disruption": {"protectBusyWorkers": False},
                },
            }
        )

    def play(self, kind: Callable[..., ScriptedCollector]) -> list[asyncio.Task[None]]:
        """A collector of this kind in each namespace, at work."""
        return [asyncio.create_task(self._played(kind, space).run()) for space in range(self.namespaces)]

    def _played(self, kind: Callable[..., ScriptedCollector], space: int) -> ScriptedCollector:
        namespace = namespace_of(space)

        async def token() -> str:
            return await collector_token(self.stage.session, self.stage.access.server, namespace)

        made = kind(endpoint=self.stage.operator.endpoint, token=token, pods=_pods, repeat_seconds=CONFIRM_IDLE_SECONDS)
        for number in range(space, self.pools, self.namespaces):
            made.say(pool_of(number), Script(queue=QUEUE))
        return made


def _pods(pool: str) -> Mapping[str, str]:
    return {f"{pool}-{number}": f"{pool}-{number}" for number in range(WORKERS)}


async def measure(arguments: argparse.Namespace, *, home: Path) -> dict[str, float]:
    """Both windows, one after the other."""
    async with stage("rest", home=home) as made:
        fleet = RestingFleet(stage=made, pools=arguments.pools, namespaces=arguments.namespaces)
        await fleet.start()
        await for_each(fleet.create_pool, range(fleet.pools))
        await fleet.until("every pool has a status", fleet.all_reconciled, every=2.0)
        await fleet.make_all_ready()
        found: dict[str, float] = {"pools": fleet.pools, "namespaces": fleet.namespaces}
        kinds_of = {"repeated": RepeatingCollector, "held": PlayedCollector}
        for name, kind in kinds_of.items():
            tasks = fleet.play(kind)
            await asyncio.sleep(SETTLE_SECONDS)
            requests = await fleet.metric("workerpool_operator_api_requests_total")
            seen = await usage.over(arguments.window, lambda: [made.operator.pid()])
            requests = await fleet.metric("workerpool_operator_api_requests_total") - requests
            found[f"{name}_millicores"] = round(seen.millicores, 1)
            found["rss_mb"], found["requests_per_second"] = round(seen.rss_mb), round(requests / arguments.window, 2)
            say(f"{name}: {seen.millicores:.1f} mCPU, {seen.rss_mb:.0f} MB (load {os.getloadavg()[0]:.1f})")
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return found


def main() -> None:
    """Measure once, and print it as JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.rest", description="What an operator costs at rest.")
    parser.add_argument("--pools", type=int, default=1000, help="how many (default 1000)")
    parser.add_argument("--namespaces", type=int, default=10, help="in how many namespaces (default 10)")
    parser.add_argument("--window", type=float, default=120.0, help="seconds of each look (default 120)")
    parser.add_argument("--json", type=Path, help="write it to this file, too")
    arguments = parser.parse_args()
    end_at_first_signal()
    with tempfile.TemporaryDirectory(prefix="wp-rest-") as home:
        found = asyncio.run(measure(arguments, home=Path(home)))
    text = json.dumps(found, indent=2)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
