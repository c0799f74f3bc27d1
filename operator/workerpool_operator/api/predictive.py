"""`spec.scaling.predictive` of a WorkerPool, and what its status tells of it."""

from enum import StrEnum

from pydantic import ConfigDict, Field

from workerpool_operator.api._base import Model, Rule, rules


class PredictiveMode(StrEnum):
    """What a forecast is good for."""

    DISABLED = "disabled"
    """None is made."""
    OBSERVE = "observe"
    """It is shown, and changes nothing."""
    ENABLED = "enabled"
    """There are at least as many workers as it asks for."""


class PredictiveSpec(Model):
    """A floor by how jobs came in the seasons before."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                cel="4 * self.horizonSeconds <= self.seasonSeconds",
                message="horizonSeconds must be at most a quarter of seasonSeconds: lower horizonSeconds",
                path=".horizonSeconds",
            )
        )
    )

    mode: PredictiveMode = Field(
        default=PredictiveMode.DISABLED,
        description="disabled: no forecast is made; observe: it is shown in the status and changes nothing; enabled: "
        "there are at least as many workers as it asks for.",
    )
    horizon_seconds: int = Field(
        default=600,
        ge=60,
        le=86_400,
        description="How far it looks ahead: as long as it takes until new workers take jobs, and some more.",
    )
    season_seconds: int = Field(
        default=86_400,
        ge=3600,
        le=604_800,
        description="After how long the course repeats itself: 86400 for days that are alike, 604800 for weeks.",
    )


class PredictiveStatus(Model):
    """The forecast of the moment."""

    mode: str = Field(default="", max_length=32, description="observe or enabled.")
    jobs_per_minute: int | None = Field(
        default=None, ge=0, description="The most that is expected within the horizon; unset: no forecast."
    )
    replicas: int | None = Field(default=None, ge=0, description="Worker pods that this asks for; unset: it says none.")
    error_percent: int | None = Field(
        default=None,
        ge=0,
        description="By how much the forecasts of the last season were off, as a share of what came.",
    )
    message: str | None = Field(default=None, max_length=256, description="Why it asks for none.")
