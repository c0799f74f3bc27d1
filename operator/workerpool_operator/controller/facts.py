"""What the cluster offers, asked before the first plan of a term and now and then after: clusters are upgraded.

An answer is never forgotten for want of a newer one: an outage of the API server must not turn `auto` into another
mode.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import structlog

from workerpool_operator.domain.cluster import ClusterFacts
from workerpool_operator.kube import Kube, errors

REFRESH_SECONDS: Final = 300.0

_log = structlog.get_logger(__name__)


class FactsKeeper:
    """Holds the facts; `changed()` hears when they have become others, which may concern every pool."""

    def __init__(
        self, kube: Kube, *, serves_metric: bool, changed: Callable[[], None], period: float = REFRESH_SECONDS
    ) -> None:
        self._kube = kube
        self._changed = changed
        self._period = period
        self._facts = ClusterFacts(serves_metric=serves_metric)

    def __call__(self) -> ClusterFacts:
        """The facts as last learnt."""
        return self._facts

    async def refresh(self) -> None:
        """Ask the API server. Raises KubeError."""
        facts = replace(self._facts, kubernetes=await self._kube.server_version())
        if facts != self._facts:
            _log.info("cluster_facts", kubernetes=facts.kubernetes, serves_metric=facts.serves_metric)
            self._facts = facts
            self._changed()

    async def run(self) -> None:
        """Ask again for ever, once a period."""
        while True:
            await asyncio.sleep(self._period)
            try:
                await self.refresh()
            except errors.KubeError as error:
                _log.warning("version_not_read", error=str(error))
