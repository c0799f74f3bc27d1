"""Plays the HPA controller: it does in a moment what the real one does within its 15 s, and needs no metrics API.

What it wants follows from what the scripted collector says, as the metric does; how it writes is the real one's way:
read the scale subresource, rest at 0, write the size onto exactly what was read.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from e2e.faults.collector import ScriptedCollector
from workerpool_operator.kube import Kube, ObjectRef, errors, kinds

Json = dict[str, Any]

PERIOD_SECONDS = 0.2


@dataclass(frozen=True, kw_only=True)
class FakeAutoscaler:
    """Acts on every HPA of one namespace, whose pools want one worker for each job."""

    kube: Kube
    namespace: str
    collector: ScriptedCollector

    async def run(self) -> None:
        """Look once a period, until cancelled."""
        while True:
            for hpa in await self.kube.list(kinds.HORIZONTAL_POD_AUTOSCALER, namespace=self.namespace).all():
                with suppress(errors.NotFound, errors.Conflict):
                    await self._look(hpa["spec"])
            await asyncio.sleep(PERIOD_SECONDS)

    async def _look(self, spec: Json) -> None:
        pool = ObjectRef(kinds.WORKER_POOL, self.namespace, spec["scaleTargetRef"]["name"])
        script = self.collector.scripts.get(pool.name)
        body = await self.kube.get(pool)
        size = body["spec"]["replicas"]
        if script is None or size == 0:
            return
        wanted = min(max(script.waiting + script.in_flight, spec["minReplicas"]), spec["maxReplicas"])
        if wanted != size:
            version = body["metadata"]["resourceVersion"]
            await self.kube.merge_patch(pool, {"spec": {"replicas": wanted}}, resource_version=version)
