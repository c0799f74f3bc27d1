"""What single pods say of their jobs: their metrics, read through the API server with the user's own rights."""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from workerpool_operator.kube import ClusterAccess, kinds

_PORT: Final = 8000
_AT_ONCE: Final = 8
MOST: Final = 100
"""Pods that are asked; a tree of more is too long to look at."""
_SECONDS: Final = 3.0
_ENDED: Final = ("jobs_processed", "jobs_failed")
"""Without `_total`: the parser's names of families. Each attempt ends in one of them."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one worker, at one moment."""

    at: float
    in_flight: int
    ended: float
    """Attempts, since it started."""
    cpu_percent: float = 0.0
    """Of one core, as the worker measures it."""
    memory_bytes: float = 0.0

    def per_minute(self, before: "Figures | None") -> float | None:
        """Attempts that ended per minute since then; None before there are two readings, and over a restart."""
        if before is None or self.at <= before.at or self.ended < before.ended:
            return None
        return (self.ended - before.ended) / (self.at - before.at) * 60


def read(text: str, *, at: float) -> Figures:
    """From a scrape.

    Raises:
        ValueError: it is none.
    """
    in_flight = ended = cpu = memory = 0.0
    for family in text_string_to_metric_families(text):
        if family.name == "worker_jobs_in_progress":
            in_flight += sum(sample.value for sample in family.samples)
        elif family.name in _ENDED:
            ended += sum(sample.value for sample in family.samples if sample.name.endswith("_total"))
        elif family.name == "worker_cpu_percent":
            cpu = sum(sample.value for sample in family.samples)
        elif family.name == "worker_memory_bytes":
            memory = sum(sample.value for sample in family.samples)
    return Figures(at, round(in_flight), ended, cpu, memory)


class PodFigures:
    """Of a pool's pods: the last two readings of each."""

    def __init__(self, access: ClusterAccess, *, namespace: str) -> None:
        self.now: dict[str, Figures] = {}
        self.before: dict[str, Figures] = {}
        self.trouble = ""
        """Why pods tell nothing; empty while they do."""
        self._access = access
        self._namespace = namespace

    async def read(self, pods: Iterable[str]) -> None:
        """Read these again, and forget the others."""
        names, turn = sorted(pods)[:MOST], asyncio.Semaphore(_AT_ONCE)
        async with self._access.watch_session() as session:

            async def one(name: str) -> Figures | str:
                async with turn:
                    return await self._ask(session, name)

            answers = await asyncio.gather(*(one(name) for name in names))
        found = {name: answer for name, answer in zip(names, answers, strict=True) if isinstance(answer, Figures)}
        self.before = {name: self.now[name] for name in found if name in self.now}
        self.now = found
        refusals = [answer for answer in answers if isinstance(answer, str)]
        self.trouble = refusals[0] if refusals and not found else ""

    async def _ask(self, session: aiohttp.ClientSession, name: str) -> Figures | str:
        path = kinds.POD.path(namespace=self._namespace, name=f"{name}:{_PORT}", subresource="proxy")
        try:
            async with (
                asyncio.timeout(_SECONDS),
                session.get(f"{self._access.server}{path}/metrics") as answer,
            ):
                if answer.status == 403:  # noqa: PLR2004
                    return "jobs of pods are not shown: you may not `get` pods/proxy here"
                answer.raise_for_status()
                return read(await answer.text(), at=time.monotonic())
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            return f"pods do not tell of their jobs: {error or type(error).__name__}"
