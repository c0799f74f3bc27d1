"""`status` of a WorkerPool: what the operator saw and decided.

Written by the operator only and never read to decide, but for what must outlive it. So these models take any word:
a status that a newer operator wrote must not make the pool unreadable for an older one.
"""

from datetime import datetime

from pydantic import Field

from workerpool_operator.api._base import ATOMIC, Model, Text, keyed_by
from workerpool_operator.api.conditions import Condition
from workerpool_operator.api.placement import PlacementStatus
from workerpool_operator.api.predictive import PredictiveStatus
from workerpool_operator.api.rollout import RolloutStatus


class ScalingTerm(Model):
    """One answer to how many workers are needed."""

    name: str = Field(max_length=64, description="Target that was asked.")
    value: int | None = Field(default=None, description="Worker pods that it asks for; unset while it cannot say.")
    message: str | None = Field(default=None, max_length=256, description="Why it cannot say.")


class BudgetShare(Model):
    """What the pool has of its budget."""

    name: str = Field(max_length=253, description="Name of the budget.")
    wanted: int = Field(default=0, ge=0, description="Worker pods that there would be without it.")
    granted: int | None = Field(
        default=None, ge=0, description="Worker pods that it lets the pool have; unset while it cannot be read."
    )


class ScalingStatus(Model):
    """How the size came about."""

    desired: int = Field(default=0, ge=0, description="Worker pods that are wanted.")
    size: int | None = Field(
        default=None,
        ge=0,
        description="Worker pods that the pool is brought to: those wanted, or in modes hpa and keda what the "
        "HPA has asked for so far.",
    )
    mode: str = Field(default="", max_length=32, description="Mode in force: auto resolved.")
    spec_replicas: int | None = Field(
        default=None,
        ge=0,
        description="What spec.replicas was at that time: with the next change of mode it tells a person's word from "
        "a value that was left there.",
    )
    depth: int | None = Field(
        default=None, ge=0, description="Jobs waiting in all queues of the pool; unset while unknown."
    )
    limited_by: tuple[Text, ...] = Field(
        default=(),
        max_length=16,
        description="What kept the size from being what the work asked for.",
        json_schema_extra=ATOMIC,
    )
    reason: str = Field(default="", max_length=1024, description="Why this size, in one line.")
    last_scale_time: datetime | None = Field(default=None, description="When the size last changed.")
    terms: tuple[ScalingTerm, ...] = Field(
        default=(),
        max_length=32,
        description="What each target asked for; the largest counts.",
        json_schema_extra=keyed_by("name"),
    )

    budget: BudgetShare | None = Field(default=None, description="What the pool has of its budget, if it names one.")
    predictive: PredictiveStatus | None = Field(
        default=None, description="The forecast of the moment, if the pool wants one made."
    )

    @property
    def given(self) -> int:
        """`size`, which an operator that knew no difference to `desired` did not write."""
        return self.desired if self.size is None else self.size


class QueueStatus(Model):
    """A queue as it was last read."""

    name: str = Field(max_length=32, description="Name of the queue in this pool.")
    depth: int | None = Field(default=None, ge=0, description="Jobs waiting; unset while unknown.")
    in_flight: int | None = Field(default=None, ge=0, description="Jobs that workers have; unset while unknown.")
    oldest_age_seconds: int | None = Field(default=None, ge=0, description="How long the oldest job has waited.")
    sample_time: datetime | None = Field(
        default=None, description="When these figures were read first: readings that find the same are not written."
    )
    reachable: bool | None = Field(default=None, description="Whether it can be read; unset before the first try.")


class VersionStatus(Model):
    """A version and revision of the workers that is there."""

    hash: str = Field(max_length=16, description="Hash of what the user's code sees.")
    revision: str = Field(max_length=16, description="Hash of the other fields of the pod.")
    image: str = Field(default="", max_length=1024, description="Image of the workers.")
    role: str = Field(default="", max_length=32, description="stable, canary, or draining while others take over.")
    replicas: int = Field(default=0, ge=0, description="Worker pods that are wanted.")
    ready_replicas: int = Field(default=0, ge=0, description="Worker pods that are ready.")
    in_flight: int = Field(default=0, ge=0, description="Jobs that these workers have.")


class WorkerPoolStatus(Model):
    """What the operator saw and decided."""

    observed_generation: int = Field(default=0, ge=0, description="Generation of the resource that was acted on.")
    replicas: int = Field(default=0, ge=0, description="Worker pods that are there and not stopping.")
    ready_replicas: int = Field(default=0, ge=0, description="Worker pods that are ready.")
    draining_replicas: int = Field(default=0, ge=0, description="Worker pods that finish their jobs and stop.")
    selector: str = Field(default="", max_length=512, description="Selects all worker pods of the pool.")
    scaling: ScalingStatus | None = Field(default=None, description="How the size came about.")
    queues: tuple[QueueStatus, ...] = Field(
        default=(),
        max_length=8,
        description="The queues as they were last read.",
        json_schema_extra=keyed_by("name"),
    )
    versions: tuple[VersionStatus, ...] = Field(
        default=(),
        max_length=64,
        description="Versions and revisions of the workers that are there, the wanted one first.",
        json_schema_extra=keyed_by("hash", "revision"),
    )
    rollout: RolloutStatus | None = Field(
        default=None, description="How far a new version is; unset where versions take over without a canary."
    )
    placement: PlacementStatus | None = Field(
        default=None, description="Where the workers are; unset where the pool names no places."
    )
    conditions: tuple[Condition, ...] = Field(
        default=(),
        max_length=16,
        description="Ready, Progressing, ScalingActive, QueueReachable, Monitored, CanaryHealthy, Placed and Stalled.",
        json_schema_extra=keyed_by("type"),
    )
