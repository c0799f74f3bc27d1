"""F9: what HPAs read goes away while a pool hangs on it, and comes back. All real but pods and queue; see `e2e.hpa`."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeAlias

from e2e.cluster.controlplane import ControlPlane
from e2e.cluster.ports import free_port
from e2e.cluster.processes import tail
from e2e.faults.collector import Script
from e2e.faults.matrix import told
from e2e.faults.matrix.rows import Trial
from e2e.hpa.plane import PERIOD, POOL, QUEUE, HpaStage, hpa_stage
from e2e.hpa.provider import Provider, serving
from e2e.support.wait import NotInTimeError, until
from workerpool_operator.domain.scaling.hpa import STANDING_SECONDS
from workerpool_operator.kube import ObjectRef, kinds

_NEIGHBOUR: Final = "neighbour"
_BEFORE, _AFTER, _GROWN = 6, 9, 4
"""Workers: of the pool before and after the outage, of its neighbour at last."""
_SAID_AFTER: Final = STANDING_SECONDS + 2 * PERIOD
"""The HPA fails at one of its looks, and the operator says so when it has for three periods."""
_PARENT_FIELD: Final = 1  # in /proc/PID/stat, counted after the command's closing bracket


@dataclass(frozen=True, kw_only=True)
class Switch:
    """What HPAs read, to be turned off and on."""

    off: Callable[[], Awaitable[None]]
    on: Callable[[], Awaitable[None]]


Source: TypeAlias = Callable[[HpaStage], AbstractAsyncContextManager[Switch]]


class NoSuchProcessError(Exception):
    """The operator has no process that serves the metrics API."""


async def trials(plane: ControlPlane, *, home: Path) -> AsyncGenerator[Trial, None]:
    """Try each on this control plane, which serves WorkerPools."""
    for name, source in (("unserved", _own_api), ("adapter", _adapter)):
        async with hpa_stage(plane, home=home / name, namespace=f"metrics-{name}") as stage:
            yield await _outage(stage, source)
    async with hpa_stage(plane, home=home / "killed", namespace="metrics-killed") as stage:
        yield await _killed(stage)


@asynccontextmanager
async def _own_api(stage: HpaStage) -> AsyncIterator[Switch]:
    """Where the operator's metrics API is registered to be, nobody listens."""
    nobody = replace(stage.own_api, port=free_port(stage.own_api.address))

    async def off() -> None:
        await asyncio.to_thread(stage.kubectl.apply, *nobody.objects())

    async def on() -> None:
        await stage.register(stage.own_api)

    yield Switch(off=off, on=on)


@asynccontextmanager
async def _adapter(stage: HpaStage) -> AsyncIterator[Switch]:
    """An adapter has the place, and fails as one does that cannot ask its Prometheus."""
    scripts = stage.collector.scripts
    provider = Provider(value=lambda: scripts[POOL].waiting if POOL in scripts else None)

    async def off() -> None:
        provider.broken = True

    async def on() -> None:
        provider.broken = False

    async with serving(provider, home=stage.home / "adapter", namespace=stage.own_api.namespace) as api:
        await stage.register(api)
        yield Switch(off=off, on=on)
        await stage.register(stage.own_api)


async def _outage(stage: HpaStage, source: Source) -> Trial:
    broken: list[str] = []
    took: float | None = None
    try:
        async with source(stage) as switch:
            await _begin(stage)
            await switch.off()
            broken += await told.missing(stage.kube, _ref(stage, POOL), "MetricsUnavailable", seconds=_SAID_AFTER)
            stage.jobs(_AFTER)
            await _neighbour_grows(stage)
            await _wanted(stage, _AFTER)
            broken += _held(stage)
            began = time.monotonic()
            await switch.on()
            await stage.wait_size(_AFTER)
            took = time.monotonic() - began
            await stage.wait_condition("True", "Active", seconds=2 * PERIOD)
    except NotInTimeError as error:
        broken.append(f"{error}; the end of the operator's log:\n{tail(stage.operator.log)}")
    return await _told(stage, source.__doc__ or "", broken, took)


async def _killed(stage: HpaStage) -> Trial:
    """The process that answers HPAs is killed; another one answers soon."""
    broken: list[str] = []
    took: float | None = None
    try:
        await _begin(stage)
        os.kill(_metrics_process(stage.operator.pid()), signal.SIGKILL)
        began = time.monotonic()
        stage.jobs(_AFTER)
        await _neighbour_grows(stage)
        await stage.wait_size(_AFTER)
        took = time.monotonic() - began
    except NotInTimeError as error:
        broken.append(f"{error}; the end of the operator's log:\n{tail(stage.operator.log)}")
    return await _told(stage, _killed.__doc__ or "", broken, took)


async def _told(stage: HpaStage, name: str, broken: list[str], took: float | None) -> Trial:
    made, gone = len(stage.ledger.created), len(stage.ledger.deleted)
    if gone or (not broken and made != _AFTER + _GROWN):
        broken.append(f"{made} workers were made, {gone} ended, instead of {_AFTER + _GROWN} and none")
    await stage.kube.delete(_ref(stage, _NEIGHBOUR))
    return Trial(
        name=name.partition(".")[0],
        converged_seconds=took,
        broken=tuple(broken),
        needless_restarts=gone + max(0, made - _AFTER - _GROWN),
    )


async def _begin(stage: HpaStage) -> None:
    """A pool that its HPA has brought to its size, and one beside it that has none."""
    await stage.create(name=_NEIGHBOUR, mode="direct")
    await stage.create(mode="hpa")
    stage.jobs(_BEFORE)
    await stage.wait_size(_BEFORE)


async def _neighbour_grows(stage: HpaStage) -> None:
    stage.collector.say(_NEIGHBOUR, Script(queue=QUEUE, waiting=_GROWN))

    async def has() -> bool:
        return len(stage.witness.ready_workers(stage.namespace, _NEIGHBOUR)) == _GROWN

    await until(has, seconds=30, what=f"{_GROWN} workers of the neighbour")


async def _wanted(stage: HpaStage, count: int) -> None:
    async def is_so() -> bool:
        return bool((await stage.pool())["status"]["scaling"]["desired"] == count)

    await until(is_so, seconds=PERIOD, what=f"{count} wanted")


def _held(stage: HpaStage) -> list[str]:
    count = len(stage.witness.ready_workers(stage.namespace, POOL))
    return [] if count == _BEFORE else [f"{count} workers instead of {_BEFORE} while HPAs read nothing"]


def _ref(stage: HpaStage, name: str) -> ObjectRef:
    return ObjectRef(kinds.WORKER_POOL, stage.namespace, name)


def _metrics_process(operator: int) -> int:
    """Of this operator.

    Raises:
        NoSuchProcessError: there is none.
    """
    for process in Path("/proc").iterdir():
        if not process.name.isdecimal():
            continue
        try:
            parent = process.joinpath("stat").read_text().rpartition(")")[2].split()[_PARENT_FIELD]
            command = process.joinpath("cmdline").read_text()
        except OSError:
            continue  # it has ended meanwhile
        if int(parent) == operator and "workerpool_operator.metrics_api" in command:
            return int(process.name)
    raise NoSuchProcessError(f"process {operator} has no metrics API")
