"""One job of a bad kind among good ones, and what becomes of all of them and of their workers."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from e2e.faults.plights.node import Node
from e2e.faults.storm.brokers import Broker
from e2e.faults.storm.store import Store
from workerpool import BrokerUnavailable, JobSpec, Queue

_WORKERS: Final = 2
_JOBS: Final = 60
_LOOK_SECONDS: Final = 0.2
_LEASE_SECONDS: Final = 2
_MAX_ATTEMPTS: Final = 5
_LONGEST_SECONDS: Final = 240.0
_HEALED_SECONDS: Final = 120.0
_SLOW_SECONDS: Final = 70.0
"""Longer than a worker may make no progress of its own (45 s by default)."""


@dataclass(frozen=True, kw_only=True)
class Plight:
    """One bad job, and what must come of it."""

    name: str
    type: str
    deaths: int = 0
    """So often a worker's process ends by itself."""
    restarts: int = 0
    """So many workers are restarted for their liveness probe."""
    dead: int = 0
    """So many jobs end among the dead letters: this one, or none."""


PLIGHTS: Final = (
    Plight(name="a job that ends its worker each time", type="poison", deaths=_MAX_ATTEMPTS, dead=1),
    Plight(name="a job that blocks its worker's loop for good", type="hang", restarts=1),
    Plight(name="a job of 70 s, which is no fault", type="slow"),
)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What was seen."""

    seconds: float | None
    """From the job's coming until all jobs are done or dead, and all workers well again; None: that never came."""
    lost: int
    duplicates: int
    broken: tuple[str, ...]


async def play(plight: Plight, broker: Broker, folder: Path) -> Outcome:
    """Put the jobs, the bad one first, and wait until nothing is left of them."""
    path = folder / "store.db"
    env = {
        **broker.env,
        "STORM_STORE": str(path),
        "MAX_WORKERS": "4",
        "LEASE_SECONDS": str(_LEASE_SECONDS),
        "MAX_ATTEMPTS": str(_MAX_ATTEMPTS),
        "BACKOFF_SECONDS": "0.1",
    }
    node, store, queue = Node(env=env, log=folder / "workers.log"), Store(str(path)), Queue.from_env(env=broker.env)
    try:
        node.start(_WORKERS)
        await _until_well(node)
        began = time.monotonic()
        await queue.enqueue_many(_jobs(plight))
        seconds = await _until_over(plight, node, queue, began=began)
        letters = [letter.job_id for letter in await queue.dead_letters()]
    finally:
        await asyncio.to_thread(node.end)
        await queue.close()
        found = store.found()
        store.close()
    lost = _JOBS + 1 - found.done - len(letters)
    return Outcome(
        seconds=seconds,
        lost=max(0, lost),
        duplicates=found.duplicates,
        broken=tuple(judged(plight, node, seconds=seconds, lost=lost, letters=letters)),
    )


def _jobs(plight: Plight) -> list[JobSpec]:
    bad = JobSpec(plight.type, {"seconds": _SLOW_SECONDS}, job_id=f"bad-{plight.type}")
    return [bad, *(JobSpec("work", {"seconds": 0.05}, job_id=f"job-{number}") for number in range(_JOBS))]


def judged(plight: Plight, node: Node, *, seconds: float | None, lost: int, letters: list[str]) -> list[str]:
    """What did not come as it has to. `letters`: ids of the jobs among the dead letters."""
    texts = []
    if seconds is None:
        texts.append(f"not over within {_LONGEST_SECONDS:g} s")
    elif plight.restarts and seconds > _HEALED_SECONDS:
        texts.append(f"healed after {seconds:.0f} s, not within {_HEALED_SECONDS:g} s")
    if lost:
        texts.append(f"{lost} jobs were lost")
    if letters != [f"bad-{plight.type}"] * plight.dead:
        texts.append(f"dead letters: {', '.join(letters) or 'none'}")
    for what, seen, wanted in (
        ("ended by themselves", node.deaths, plight.deaths),
        ("were restarted for their probe", node.restarts, plight.restarts),
    ):
        if seen != wanted:
            texts.append(f"{seen} workers {what}, and not {wanted}")
    return texts


async def _until_well(node: Node) -> None:
    deadline = time.monotonic() + _LONGEST_SECONDS
    while not await asyncio.to_thread(node.well):
        if time.monotonic() > deadline:
            raise TimeoutError("the workers do not start")
        await asyncio.sleep(_LOOK_SECONDS)


async def _until_over(plight: Plight, node: Node, queue: Queue, *, began: float) -> float | None:
    """Seconds until then. The job of a worker that hangs is done long before that is restarted."""
    while time.monotonic() - began < _LONGEST_SECONDS:
        await asyncio.to_thread(node.look)
        try:
            empty = (await queue.depth()).unfinished == 0
        except BrokerUnavailable:
            empty = False
        struck = node.deaths >= plight.deaths and node.restarts >= plight.restarts
        if empty and struck and await asyncio.to_thread(node.well):
            return time.monotonic() - began
        await asyncio.sleep(_LOOK_SECONDS)
    return None
