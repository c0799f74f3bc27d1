"""Scenarios that need no pods: what the HPA, its metric and the operator do to a size.

Each is played on a namespace of its own; what the cluster is like (a feature gate, another provider, a clock that is
wrong) is the scenario's.
"""

from __future__ import annotations

import platform
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from e2e.cluster import debian
from e2e.cluster.controlplane import ControlPlane
from e2e.cluster.processes import tail
from e2e.hpa.plane import PERIOD, POOL, HpaStage, hpa_stage
from e2e.hpa.provider import Provider, serving
from e2e.hpa.record import Record
from e2e.support.failures import FAILURES
from e2e.support.wait import until
from workerpool_operator.domain.scaling.hpa import STANDING_SECONDS

SKEW_SECONDS = 60
_FAKETIME = f"/usr/lib/{platform.machine()}-linux-gnu/faketime/libfaketime.so.1"
_SAID_AFTER = STANDING_SECONDS + 2 * PERIOD
"""The HPA fails at one of its looks, and the operator says so when it has for three periods."""


async def round_trip(stage: HpaStage, record: Record) -> None:
    """0 -> 7 by the operator, up, down and by one by the HPA, to 0 by the operator, and awake again."""
    await stage.create(mode="auto")
    stage.jobs(0)
    await stage.wait_size(0)
    for jobs in (7, 20, 21, 5, 0, 3):
        started = time.monotonic()
        stage.jobs(jobs)
        await stage.wait_size(jobs)
        record.note(f"{jobs} jobs: {jobs} workers after {time.monotonic() - started:.1f} s", holds=True)
    mode = (await stage.pool())["status"]["scaling"]["mode"]
    record.note(f"auto means {mode}", holds=mode == "hpa")
    least = (await stage.hpa())["spec"]["minReplicas"]
    record.note(f"the HPA's minReplicas is {least}", holds=least == 1)


async def skewed_round_trip(stage: HpaStage, record: Record) -> None:
    """The same, by an operator whose clock is wrong: its status shows that it is."""
    await round_trip(stage, record)
    dated = datetime.fromisoformat((await stage.pool())["status"]["scaling"]["lastScaleTime"])
    ahead = (dated - datetime.now(UTC)).total_seconds()
    record.note(f"the operator dates what it just did {ahead:+.0f} s from now", holds=abs(ahead) > SKEW_SECONDS / 2)


async def nonsense(stage: HpaStage, record: Record) -> None:
    """An adapter that answers 1 whatever is wanted."""
    await stage.create(mode="hpa")
    stage.jobs(10)
    await stage.wait_size(10)
    provider = Provider(value=lambda: 1)
    async with serving(provider, home=stage.home / "provider", namespace=stage.own_api.namespace) as other:
        await stage.register(other)
        await stage.wait_condition("False", "MetricsDisagree", seconds=_SAID_AFTER)
        await _held(stage, record, "10 wanted, ScalingActive=False/MetricsDisagree", 10)
        stage.jobs(12)
        await _wants(stage, 12)
        asked = provider.asked

        async def answered() -> bool:
            return provider.asked > asked + 1

        await until(answered, seconds=3 * PERIOD, what="two more answers of 1")
        await _held(stage, record, "12 wanted", 10)
        await stage.register(stage.own_api)
    await stage.wait_size(12)
    await stage.wait_condition("True", "Active", seconds=PERIOD)
    await _held(stage, record, "with the right provider again", 12)
    _nobody_gone(stage, record)


async def taken(stage: HpaStage, record: Record) -> None:
    """Another provider has the place, and does not know the metric."""
    await stage.create(mode="hpa")
    stage.jobs(6)
    await stage.wait_size(6)
    provider = Provider(value=lambda: None)
    async with serving(provider, home=stage.home / "provider", namespace=stage.own_api.namespace) as other:
        await stage.register(other)
        await stage.wait_condition("False", "MetricsUnavailable", seconds=_SAID_AFTER)
        stage.jobs(9)
        await _wants(stage, 9)
        await _held(stage, record, "9 wanted, ScalingActive=False/MetricsUnavailable", 6)
        await stage.patch({"scaling": {"mode": "direct"}})
        await stage.wait_workers(9)
        await _held(stage, record, "in mode direct", 9)
        record.note("the HPA is gone", holds=not await stage.hpa())
    _nobody_gone(stage, record)


async def unread(stage: HpaStage, record: Record) -> None:
    """The queue cannot be read for longer than three of the HPA's periods, and somebody writes 1 meanwhile."""
    await stage.create(mode="hpa")
    stage.jobs(6)
    await stage.wait_size(6)
    stage.collector.silence(POOL)
    await stage.wait_condition("False", "SamplesStale", seconds=PERIOD)
    await stage.patch({"replicas": 1})
    written = time.monotonic()

    async def stood() -> bool:
        return time.monotonic() - written > STANDING_SECONDS + 1

    await until(stood, seconds=2 * STANDING_SECONDS, what="1 in spec.replicas for three periods")
    told = (await stage.hpa())["status"]["conditions"]
    active = next(one for one in told if one["type"] == "ScalingActive")
    record.note(f"the HPA says {active['reason']}", holds=active["status"] == "False")
    await _held(stage, record, f"{STANDING_SECONDS:.0f} s after somebody's write", 6)
    stage.jobs(8)
    await stage.wait_size(8)
    await _held(stage, record, "read again, 8 wanted", 8)
    _nobody_gone(stage, record)


@dataclass(frozen=True, kw_only=True)
class PlaneScenario:
    """One scenario, and the cluster that it wants."""

    name: str
    expected: str
    play: Callable[[HpaStage, Record], Awaitable[None]]
    gates: Mapping[str, bool] = field(default_factory=dict)
    skew: int = 0
    """How many seconds the operator's clock is ahead."""


PLANE_SCENARIOS = (
    PlaneScenario(
        name="HPAScaleToZero on",
        expected="0 -> N -> M -> 0 -> N, each step within three periods, by the same writers as without the gate",
        play=round_trip,
        gates={"HPAScaleToZero": True},
    ),
    PlaneScenario(
        name="operator's clock a minute ahead",
        expected="0 -> N -> M -> 0 -> N as with a right clock: readings carry ages, not times",
        play=skewed_round_trip,
        skew=SKEW_SECONDS,
    ),
    PlaneScenario(
        name="operator's clock a minute behind",
        expected="0 -> N -> M -> 0 -> N as with a right clock: readings carry ages, not times",
        play=skewed_round_trip,
        skew=-SKEW_SECONDS,
    ),
    PlaneScenario(
        name="adapter answers nonsense",
        expected="10 wanted, the HPA is told 1: nobody goes, ScalingActive says MetricsDisagree, and it mends itself",
        play=nonsense,
    ),
    PlaneScenario(
        name="slot taken by another provider",
        expected="the size is held, ScalingActive says MetricsUnavailable, and mode direct is the way out",
        play=taken,
    ),
    PlaneScenario(
        name="queue unread for a minute",
        expected="the size is held whatever stands in spec.replicas; afterwards the HPA goes on",
        play=unread,
    ),
)


async def play(scenario: PlaneScenario, plane: ControlPlane, *, home: Path) -> Record:
    """Play it on this control plane, which serves WorkerPools and has the feature gates."""
    record = Record(scenario=scenario.name, expected=scenario.expected)
    namespace = re.sub(r"[^a-z0-9]+", "-", scenario.name.lower())
    settings = skewed(scenario.skew) if scenario.skew else {}
    async with hpa_stage(plane, home=home / namespace, namespace=namespace, settings=settings) as stage:
        try:
            await scenario.play(stage, record)
        except FAILURES as error:
            record.note(f"{error}; the end of the operator's log:\n{tail(stage.operator.log)}", holds=False)
    return record


def skewed(seconds: int) -> dict[str, str]:
    """Give the environment of a process whose clock is wrong; its monotonic one is right, as on a real machine.

    Raises:
        ClusterError: libfaketime is missing and cannot be installed.
    """
    debian.ensure({_FAKETIME: "libfaketime"})
    return {"LD_PRELOAD": _FAKETIME, "FAKETIME": f"{seconds:+d}s", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


async def _held(stage: HpaStage, record: Record, what: str, size: int) -> None:
    """Note the pool's size as it is now, which is this one."""
    count = len(stage.witness.ready_workers(stage.namespace, POOL))
    asked = (await stage.pool())["spec"]["replicas"]
    record.note(f"{what}: {count} workers, spec.replicas {asked}", holds=count == size)


async def _wants(stage: HpaStage, wanted: int) -> None:
    """Wait until the operator wants so many."""

    async def does() -> bool:
        return bool((await stage.pool())["status"]["scaling"]["desired"] == wanted)

    await until(does, seconds=PERIOD, what=f"{wanted} wanted")


def _nobody_gone(stage: HpaStage, record: Record) -> None:
    gone = len(stage.ledger.deleted)
    record.note(f"{gone} workers were ended", holds=gone == 0)
