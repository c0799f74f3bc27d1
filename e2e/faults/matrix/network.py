"""F7: nothing comes through any more, and nobody is told: packets are dropped by nftables, on ports of this machine."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from e2e.faults.lane import Lane
from e2e.faults.matrix import broker, course
from e2e.faults.matrix.course import Tally, Variant
from e2e.faults.matrix.ground import Ground
from e2e.faults.matrix.rights import grant
from e2e.faults.matrix.rows import Trial
from e2e.faults.scenarios import Stage
from workerpool_operator.kube import kinds

_SECONDS = 20.0
"""Longer than a leader leads without the API server, and than a reading of a queue counts."""
_CHANGES = ("create", "scale-up", "scale-down", "version-change")
_BY_JOBS = ("create", "scale-up", "scale-down")


class NoNftablesError(Exception):
    """This machine cannot drop packets: there is no nft, or no right to use it."""


@asynccontextmanager
async def partition(port: int) -> AsyncIterator[None]:
    """Drop all packets from and to this port of the loopback, in a table of our own.

    Raises:
        NoNftablesError: that cannot be done here.
    """
    table = f"inet workerpool-faults-{os.getpid()}-{port}"
    rules = f'iifname "lo" tcp dport {port} drop; iifname "lo" tcp sport {port} drop'
    chain = f"chain input {{ type filter hook input priority 0; {rules}; }}"
    await asyncio.to_thread(_nft, f"table {table} {{\n{chain}\n}}\n")  # older ones want the ends of lines
    try:
        yield
    finally:
        await asyncio.to_thread(_nft, f"delete table {table}")


def _nft(ruleset: str) -> None:
    program = shutil.which("nft", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if program is None:
        raise NoNftablesError("there is no nft on this machine")
    done = subprocess.run([program, "--file", "-"], input=ruleset, text=True, capture_output=True, check=False)
    if done.returncode:
        raise NoNftablesError(done.stderr.strip())


@asynccontextmanager
async def _from_api_server(lane: Lane, stage: Stage, tally: Tally) -> AsyncIterator[None]:
    del stage
    async with partition(lane.proxy.port):
        tally.injected += 1
        yield
        await asyncio.sleep(_SECONDS)


@asynccontextmanager
async def _from_collector(lane: Lane, stage: Stage, tally: Tally) -> AsyncIterator[None]:
    """Nobody knows of jobs: the size stays as it is, whatever has become of them."""
    async with partition(lane.operator.endpoint.port):
        tally.injected += 1
        before = await _asked_for(lane, stage)
        yield
        await asyncio.sleep(_SECONDS)
        if (now := await _asked_for(lane, stage)) != before:
            tally.broken.append(f"{now} workers were asked for instead of {before}, and nobody knew of jobs")


async def _asked_for(lane: Lane, stage: Stage) -> int:
    pools = await lane.kube.list(kinds.WORKER_POOL, namespace=stage.namespace).all()
    return sum(one.get("status", {}).get("scaling", {}).get("desired", 0) for one in pools)


@dataclass(frozen=True, kw_only=True)
class Partitions:
    """F7."""

    number: str = "F7"
    what: str = (
        "All packets between operator and API server, and between operator and collector, dropped by nftables for 20 s "
        "in each change. Without the collector the size is held; both recover alone. And between the collector's own "
        "process and a Redis: the size is held, the pool says so in a condition and an event, and grows by what came "
        "afterwards. On real pods: `e2e/test_bad_input.py`."
    )
    pods: bool = False
    points: None = None

    async def trials(self, ground: Ground) -> AsyncGenerator[Trial, None]:
        """Try all three ways."""
        api = Variant(name="operator and API server apart", upon=_from_api_server)
        collector = Variant(name="operator and collector apart", upon=_from_collector)
        async with ground.lane() as lane:
            if not ground.depth.short:
                async for trial in course.run(ground, lane, [api], names=_CHANGES):
                    yield trial
            async for trial in course.run(ground, lane, [collector], names=_BY_JOBS, strikes=_BY_JOBS[1:]):
                yield trial
            await asyncio.to_thread(grant, ground.plane())  # the collector's own rights
            yield await broker.cut_off(lane, home=ground.home / "broker", by=partition, seconds=_SECONDS)
