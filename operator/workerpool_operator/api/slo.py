"""`spec.slo`: what the pool promises."""

from typing import Annotated, Final

from pydantic import Field, WithJsonSchema

from workerpool_operator.api._base import Model, Rule, rules

_OBJECTIVE: Final = r"^0[.][5-9][0-9]{0,4}$"
Objective = Annotated[
    str,
    Field(pattern=_OBJECTIVE),
    WithJsonSchema(
        {"type": "string", "maxLength": 7}
        | rules(
            Rule(
                cel=f"self.matches('{_OBJECTIVE}')",
                message='write a share from "0.5" to "0.99999" in quotes, such as "0.999"',
            )
        )
    ),
]
"""A share of the jobs, such as `"0.999"`."""


class SloSpec(Model):
    """What the pool promises: alerts tell when it uses up what may go wrong in 30 days too fast.

    A canary that breaks what is promised of jobs is rejected, if the stable version keeps it.
    """

    availability: Objective | None = Field(
        default=None,
        description='Share of the jobs that succeed at their first attempt, such as "0.999". One that fails first and '
        "succeeds later counts against it. Off when unset.",
    )
    job_latency_seconds: int | None = Field(
        default=None,
        ge=1,
        le=86_400,
        description="Seconds from when a job is due until its first attempt has ended, for jobLatencyQuantile of the "
        "jobs. Needs workers with the SDK. Where scaling.targets.jobLatencySeconds is unset, OldestJobTooOld and "
        "JobWaitP99High go by it. Off when unset.",
    )
    job_latency_quantile: Objective = Field(default="0.95", description="Share of the jobs that are not later.")
    queue_depth: Objective | None = Field(
        default=None,
        description="Share of the time in which no more jobs wait than the pool's target allows: "
        "scaling.targets.queueDepth, or else queueDepthPerReplica times maxReplicas. Off when unset.",
    )
    throughput: Objective | None = Field(
        default=None,
        description="Share of the time with jobs that wait in which jobs are done as well. Off when unset.",
    )
