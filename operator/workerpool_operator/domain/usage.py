"""How much of a pool's workers is used, for what they cost: of each version its pods, and how many sit idle."""

from collections import Counter, defaultdict
from dataclasses import dataclass

from workerpool_operator.domain.snapshot import VERSION_LABEL, Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """The workers of one version at this moment."""

    version: str
    workers: int
    """Pods that take room on a node: those that start, and those that stop as far as they are heard, included."""
    idle: float
    """So many of them do nothing: the free share of each one's slots, added up. Who is not heard is not idle."""


def usage(snapshot: Snapshot) -> tuple[Usage, ...]:
    """Of all versions that have pods."""
    existing, heard, idle = Counter[str](), Counter[str](), defaultdict[str, float](float)
    for child in snapshot.deployments.values():
        existing[child.labels.get(VERSION_LABEL, "")] += child.existing
    for report in snapshot.reports.values():
        if report.fresh:
            heard[report.version] += 1
            idle[report.version] += 1 - min(1.0, report.in_flight / (report.slots or 1))
    return tuple(
        Usage(version=version, workers=max(existing[version], heard[version]), idle=idle[version])
        for version in sorted(existing.keys() | heard.keys())
        if version and existing[version] + heard[version]
    )
