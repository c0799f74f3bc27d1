"""F13: the operator is upgraded and rolled back, and its definitions are older or newer than it is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from e2e.chart import frozen
from e2e.cluster.controlplane import ControlPlane
from e2e.faults.lane import Lane
from e2e.faults.matrix import course
from e2e.faults.matrix.course import Tally, Upon, Variant
from e2e.faults.matrix.ground import Ground, apply, definitions
from e2e.faults.matrix.rows import Trial
from e2e.faults.scenarios import POOL, Stage
from e2e.support.wait import until
from workerpool_operator.kube import kinds

Json = dict[str, Any]

_CHANGES = ("create", "scale-up", "scale-down")
_CALM_SECONDS = 3.0
_FUTURE = {"type": "object", "properties": {"speed": {"type": "integer"}}}


def _sources(folder: Path) -> Mapping[str, str]:
    """Unpack an earlier operator; gives the environment in which Python runs that one."""
    frozen.unpack(folder)
    return {"PYTHONPATH": f"{folder / 'operator'}:{folder / 'workers' / 'src'}"}


async def _exchange(lane: Lane, stage: Stage, environment: Mapping[str, str] | None) -> None:
    """Have the operator end as at a rollout, and start this one; wait until it leads."""
    epoch = stage.collector.configured_in
    await asyncio.to_thread(lane.operator.stop)
    kept = {name: value for name, value in lane.operator.settings.items() if name != "PYTHONPATH"}
    lane.operator = replace(lane.operator, settings={**kept, **(environment or {})})
    lane.operator.start()

    async def leads() -> bool:
        lane.operator.check()
        return stage.collector.configured_in > epoch

    await until(leads, seconds=60, what="the other operator tells the collector its pools")


async def _at_rest(lane: Lane, stage: Stage, environment: Mapping[str, str] | None, *, name: str) -> Trial:
    """Exchange the operator under a pool at rest: no worker is made or ended, and its pods' template is the same."""
    ledger, requests = lane.witness.open(stage.namespace), lane.requests
    before = await _templates(lane, stage)
    await _exchange(lane, stage, environment)
    await asyncio.sleep(_CALM_SECONDS)
    needless = len(ledger.created) + len(ledger.deleted)
    broken = [f"{needless} workers were made or ended"] if needless else []
    if await _templates(lane, stage) != before:
        broken.append("the workers' template is another one")
    pool = await lane.kube.get(stage.ref(POOL))
    ready = {one["type"]: one["status"] for one in pool["status"]["conditions"]}.get("Ready")
    if ready != "True":
        broken.append(f"the pool is not ready: {json.dumps(pool['status']['conditions'])}")
    return Trial(
        name=f"{name}, at rest",
        broken=tuple(broken),
        needless_restarts=needless,
        api_calls=lane.requests - requests,
    )


async def _templates(lane: Lane, stage: Stage) -> list[Json]:
    selector = f"workerpool.dev/pool={POOL}"
    found = await lane.kube.list(kinds.DEPLOYMENT, namespace=stage.namespace, label_selector=selector).all()
    return [one["spec"]["template"] for one in found]


def _definitions(plane: ControlPlane, documents: list[Json]) -> Upon:
    """The cluster has these definitions, as long as it lasts."""

    @asynccontextmanager
    async def upon(lane: Lane, stage: Stage, tally: Tally) -> AsyncIterator[None]:
        del lane, stage
        await asyncio.to_thread(apply, plane, documents)
        tally.injected += 1
        try:
            yield
            await asyncio.sleep(_CALM_SECONDS)
        finally:
            await asyncio.to_thread(apply, plane, definitions())

    return upon


def _older(folder: Path) -> list[Json]:
    """Those of the earlier release, which are templates of its chart."""
    found = []
    for path in sorted((frozen.unpack(folder) / "templates" / "crds").glob("*.yaml")):
        text = "\n".join(line for line in path.read_text().splitlines() if "{{" not in line)
        found.append(yaml.safe_load(text))
    return found


def _newer() -> list[Json]:
    """Ours with a field that this operator does not know."""
    documents = definitions()
    for document in documents:
        for version in document["spec"]["versions"]:
            version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["future"] = _FUTURE
    return documents


@dataclass(frozen=True, kw_only=True)
class Versions:
    """F13."""

    number: str = "F13"
    what: str = (
        "The operator exchanged for that of an earlier release and back, under a pool at rest and between changes, and "
        "the cluster's definitions older (those of that release) or newer (a field more) than the operator in each "
        "change: no worker is made or ended for it. The same with real pods and jobs, and by Helm: `make e2e-chart`."
    )
    pods: bool = False
    points: None = None

    async def trials(self, ground: Ground) -> AsyncGenerator[Trial, None]:
        """Try each; a control plane of its own, since definitions are the cluster's."""
        plane = ground.plane("versions")
        earlier = _sources(ground.home / "earlier")
        async with ground.lane(plane=plane) as lane:
            async with course.resting(ground, lane) as stage:
                for name, environment in (("back to an earlier release", earlier), ("up to this one", None)):
                    yield await _at_rest(lane, stage, environment, name=name)
            if ground.depth.short:
                return
            for name, documents in (
                ("definitions of an earlier release", _older(ground.home / "older")),
                ("definitions with a field more", _newer()),
            ):
                variant = Variant(name=name, upon=_definitions(plane, documents))
                async for trial in course.run(ground, lane, [variant], names=_CHANGES):
                    yield trial
