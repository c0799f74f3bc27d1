"""Conditions of a WorkerPool. All are there from the first status write on, Unknown until there is evidence."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from pydantic import Field

from workerpool_operator.api._base import Model


class ConditionType(StrEnum):
    """What a condition tells."""

    READY = "Ready"
    """Every wanted worker is there and ready, in the wanted version."""
    PROGRESSING = "Progressing"
    """The pool is on its way to another size or version."""
    SCALING_ACTIVE = "ScalingActive"
    """The size follows the queues; False while it is held."""
    QUEUE_REACHABLE = "QueueReachable"
    """All queues of the pool can be read."""
    MONITORED = "Monitored"
    """The pool's alerts are in the cluster, as a PrometheusRule."""
    CANARY_HEALTHY = "CanaryHealthy"
    """The version that the pool asks for is fit to run it; False where it was rejected, Unknown while it is tried."""
    PLACED = "Placed"
    """The workers are where they belong; False while some are in the secondary place, or on their way."""
    STALLED = "Stalled"
    """Something keeps jobs from being done: workers that take none, or what only a person can change."""


class ConditionStatus(StrEnum):
    """Whether a condition holds."""

    TRUE = "True"
    """It holds."""
    FALSE = "False"
    """It does not hold."""
    UNKNOWN = "Unknown"
    """There is no evidence yet."""


class Condition(Model):
    """One condition, as in all of Kubernetes."""

    type: str = Field(min_length=1, max_length=316, description="What the condition tells.")
    status: ConditionStatus = Field(description="True, False or Unknown.")
    observed_generation: int = Field(
        default=0, ge=0, description="Generation of the resource that the condition is about."
    )
    last_transition_time: datetime = Field(description="When status last changed.")
    reason: str = Field(min_length=1, max_length=1024, description="Why, as one word for programs.")
    message: str = Field(default="", max_length=32768, description="Why, for people, and what to do.")


def find(conditions: Iterable[Condition], kind: ConditionType) -> Condition | None:
    """The condition of this type, if it is there."""
    return next((condition for condition in conditions if condition.type == kind), None)
