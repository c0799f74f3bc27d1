"""`spec.placement`: on which nodes workers run, and where they go when these are lost."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final

from pydantic import ConfigDict, Field

from workerpool_operator.api._base import ATOMIC, LABEL_KEYS, LABEL_VALUES, Model, Rule, Text, rules

PLACE_ANNOTATION: Final = "workerpool.dev/place"
"""`primary` or `secondary`: where the workers belong, said by a person at run time."""
PLACE_SAID_ANNOTATION: Final = "workerpool.dev/place-said-at"
"""When that was said, as RFC 3339: with failback Manual it is a word for what had happened until then."""


NodeName = Annotated[str, Field(max_length=253)]


class Failback(StrEnum):
    """How workers come back to the primary place once it has its workers again."""

    AUTO = "Auto"
    """By themselves, a few at a time."""
    MANUAL = "Manual"
    """When somebody says so, after each failover anew: `wpool migrate`, by the annotation workerpool.dev/place."""


class PlaceSpec(Model):
    """Nodes."""

    node_selector: dict[str, Text] = Field(
        default={},
        max_length=16,
        description="Labels that a node must have, beside worker.nodeSelector and worker.affinity. None: any node.",
        json_schema_extra=rules(LABEL_KEYS, LABEL_VALUES),
    )


class PlacementSpec(Model):
    """On which nodes the workers run, and where they go when these are lost."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                cel="!has(self.secondary) || "
                "(has(self.primary) && has(self.primary.nodeSelector) ? self.primary.nodeSelector : {}) != "
                "(has(self.secondary.nodeSelector) ? self.secondary.nodeSelector : {})",
                message="primary and secondary must be different nodes: write another nodeSelector, or leave "
                "secondary out",
                path=".secondary",
            )
        )
    )

    primary: PlaceSpec = Field(default=PlaceSpec(), description="Where the workers belong.")
    secondary: PlaceSpec | None = Field(
        default=None,
        description="Where workers are started in the stead of those that the primary place has lost, or has no room "
        "for. Without it Kubernetes' own eviction applies.",
    )
    failover_timeout_seconds: int = Field(
        default=30,
        ge=15,
        le=3600,
        description="A worker counts as lost when nothing has been heard for so long of any worker of its node and the "
        "node's Lease is not renewed, or when no node has had room for it for so long.",
    )
    failback: Failback = Field(
        default=Failback.AUTO,
        description="Auto: when the primary place has had its workers again for a minute, those of the secondary "
        "place go, a few at a time, idle ones first; Manual: when somebody says so after the failover, by wpool "
        "migrate (annotations workerpool.dev/place and workerpool.dev/place-said-at).",
    )


class PlacementStatus(Model):
    """Where the workers are."""

    active: str = Field(default="", max_length=32, description="Place that workers are added to: primary or secondary.")
    since: datetime | None = Field(default=None, description="Since when.")
    lost: int = Field(default=0, ge=0, description="Workers of the place that they belong to that count as lost.")
    lost_nodes: tuple[NodeName, ...] = Field(
        default=(),
        max_length=16,
        description="Nodes of which nothing is heard: workers there are fenced. No more than 16 are named.",
        json_schema_extra=ATOMIC,
    )
