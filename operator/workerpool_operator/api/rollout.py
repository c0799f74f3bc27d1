"""`spec.rollout`: how a new version of the workers takes over, and `status.rollout`: how far it is."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import ConfigDict, Field, WithJsonSchema

from workerpool_operator.api._base import ATOMIC, Model, Rule, Seconds, Text, number, rules

_RATIO: Final = r"^[1-9][0-9]{0,2}([.][0-9]{1,2})?$"
Ratio = Annotated[
    Annotated[int, Field(ge=1, le=999)] | Annotated[str, Field(pattern=_RATIO)],
    number(
        _RATIO,
        least=1,
        most=999,
        length=6,
        message='write a ratio from 1, below 1000; a fraction has up to 2 digits and needs quotes: "1.25"',
    ),
]
"""One rate over another, such as `3` or `"1.25"`."""
_CHANCE: Final = r"^0[.]0{0,2}[1-9][0-9]{0,2}$"
Chance = Annotated[
    str,
    Field(pattern=_CHANCE),
    WithJsonSchema(
        {"type": "string", "maxLength": 7}
        | rules(
            Rule(
                cel=f"self.matches('{_CHANCE}')", message='write a chance above 0 and below 1 in quotes, such as "0.05"'
            )
        )
    ),
]
"""A chance, such as `"0.05"`."""


class Strategy(StrEnum):
    """How a new version takes over."""

    CANARY = "Canary"
    """In steps, and only as far as its jobs do not fail more often than those of the version before."""
    ROLLING = "Rolling"
    """Worker by worker, as fast as the new ones become ready and the old ones idle."""


class Inconclusive(StrEnum):
    """What becomes of a canary of which nothing can be said."""

    HOLD = "Hold"
    """It stays at its weight until more is known, or somebody decides."""
    PROMOTE = "Promote"
    """It takes over."""
    ROLLBACK = "Rollback"
    """It goes."""


class Idle(StrEnum):
    """What becomes of a canary while the pool sleeps."""

    HOLD = "Hold"
    """It waits for jobs."""
    PROMOTE = "Promote"
    """It takes over when nothing could be measured for `maxUnmeasuredSeconds`."""


class RolloutStep(Model):
    """A part of the workers that runs the new version, and what it takes to go on from there."""

    weight: int = Field(ge=1, le=99, description="Percent of the workers. Each version keeps one at least.")
    duration_seconds: int = Field(
        default=0, ge=0, le=604_800, description="For so long both versions must have been measured in this step."
    )
    min_jobs: int = Field(
        default=0, ge=0, le=1_000_000_000, description="So many jobs must the new version have tried in this step."
    )
    pause: bool = Field(default=False, description="Stay in this step until the command resume.")


class Analysis(Model):
    """When the new version is worse than the one before, and when it is not."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                cel="double(self.tolerateRatio) < double(self.rejectRatio)",
                message="tolerateRatio must be below rejectRatio: lower the one or raise the other",
                path=".tolerateRatio",
            )
        )
    )

    tolerate_ratio: Ratio = Field(
        default="1.25",
        description="The canary is rejected when its failure rate is shown to be above so many times the stable one's.",
    )
    reject_ratio: Ratio = Field(
        default="3",
        description="The canary passes when its failure rate is shown to be below so many times the stable one's.",
    )
    false_alarm: Chance = Field(
        default="0.05",
        description="Chance that an equally good version is rejected, and that one as bad as rejectRatio passes.",
    )
    acceptable_failure_rate: Chance = Field(
        default="0.01",
        description="The canary also passes when its failure rate is shown to be below this.",
    )
    slow_job_seconds: Seconds | None = Field(
        default=None,
        description="Seconds from which on a job is slow, where its handler does not say otherwise: the canary is "
        "judged by how many are. Workers that run hear of it, and need an SDK that knows it: those that count by "
        "something else are not judged by it. When unset SLOW_JOB_SECONDS of their environment, else 2.",
    )
    failure_budget: int = Field(
        default=0,
        ge=0,
        le=1_000_000_000,
        description="The canary is rejected when more of its first attempts fail, whatever the rate; 0: no budget.",
    )
    warmup_seconds: int = Field(
        default=60, ge=0, le=86_400, description="What a worker does within so long of its start is not judged."
    )
    max_unmeasured_seconds: int = Field(
        default=900,
        ge=1,
        le=604_800,
        description="After so long without a measurement nothing can be said of the canary: see onInconclusive.",
    )
    on_inconclusive: Inconclusive = Field(
        default=Inconclusive.HOLD, description="What then, and when the last step is complete without a verdict."
    )


class RolloutSpec(Model):
    """How a new version of the workers takes over."""

    strategy: Strategy = Field(
        default=Strategy.CANARY,
        description="Canary: in steps, judged by the jobs that fail at their first attempt. Rolling: worker by worker.",
    )
    steps: tuple[RolloutStep, ...] = Field(
        default=(
            RolloutStep(weight=10, min_jobs=200, duration_seconds=1800),
            RolloutStep(weight=50, duration_seconds=600),
        ),
        min_length=1,
        max_length=20,
        description="What a canary goes through. After the last one it takes over, if it has passed.",
        json_schema_extra=ATOMIC
        | rules(
            Rule(
                cel="self.map(step, step.weight).isSorted()",
                message="the weight of a step must not be below that of the step before: put the steps in order",
            )
        ),
    )
    analysis: Analysis = Field(default=Analysis(), description="How the canary is judged.")
    surge: int = Field(
        default=1,
        ge=1,
        le=100,
        description="Workers above the pool's size, and above maxReplicas, while versions change: so many are started "
        "at a time. A budget bounds them as well. Beside a single worker one runs the canary.",
    )
    when_idle: Idle = Field(default=Idle.HOLD, description="What becomes of a canary while the pool sleeps.")
    auto_promote: bool = Field(
        default=True, description="Whether a canary that passed takes over by itself, or by the command promote."
    )
    auto_rollback: bool = Field(
        default=True, description="Whether a canary that failed goes by itself, or by the command abort."
    )
    keep_drained_versions: int = Field(
        default=2,
        ge=0,
        le=10,
        description="So many versions that were stable before are kept for a quick way back, which needs no canary.",
    )


class ObjectiveStatus(Model):
    """How the two versions did of late by one objective of `spec.slo`."""

    name: str = Field(max_length=32, description="availability or latency.")
    allowed: str = Field(max_length=16, description="Share of the jobs that may miss it.")
    canary: str = Field(default="", max_length=16, description="Share of the canary's jobs that missed it.")
    stable: str = Field(default="", max_length=16, description="Share of the stable version's jobs that missed it.")


class RolloutStatus(Model):
    """How far a new version is."""

    stable: str = Field(default="", max_length=16, description="Version that has the pool's trust.")
    wanted: str = Field(default="", max_length=16, description="Version that the pool asks for.")
    canary: str = Field(default="", max_length=16, description="Version that is tried; empty while none is.")
    step: int = Field(default=0, ge=0, description="Its step, from 1; 0 while none is tried.")
    weight: int = Field(default=0, ge=0, description="Percent of the workers that run it in this step.")
    pod_share: str = Field(default="", max_length=16, description="Part of the ready workers that run it.")
    job_share: str = Field(
        default="", max_length=16, description="Part of the judged jobs that it has done, such as 0.11."
    )
    verdict: str = Field(default="", max_length=32, description="Pass, Fail or Inconclusive.")
    cause: str = Field(default="", max_length=32, description="What the verdict follows from.")
    wait: str = Field(default="", max_length=32, description="What it waits for.")
    signal: str = Field(default="", max_length=32, description="What the following figures are of.")
    ratio: str = Field(default="", max_length=32, description="Its failure rate over the stable version's.")
    ratio_low: str = Field(default="", max_length=32, description="Lower end of the ratio's 95 % interval.")
    ratio_high: str = Field(default="", max_length=32, description="Upper end.")
    minimum_detectable_ratio: str = Field(
        default="", max_length=32, description="The ratio that would have been found by now; empty: none yet."
    )
    jobs: int = Field(default=0, ge=0, description="First attempts of the canary that are over.")
    failures: int = Field(default=0, ge=0, description="Of those, failed or lost.")
    objectives: tuple[ObjectiveStatus, ...] = Field(
        default=(),
        max_length=8,
        description="How both versions did by spec.slo within the last minutes.",
        json_schema_extra=ATOMIC,
    )
    measured_seconds: int = Field(default=0, ge=0, description="For how long both versions have been measured.")
    rejected: tuple[Text, ...] = Field(
        default=(),
        max_length=16,
        description="Versions that were tried and are not tried again by themselves.",
        json_schema_extra=ATOMIC,
    )
    command_id: str = Field(default="", max_length=64, description="The last command that was answered.")
    command_refused: bool = Field(default=False, description="Whether that one did not fit what was going on.")
    memory: str = Field(default="", max_length=8192, description="What the operator needs to go on after a restart.")
