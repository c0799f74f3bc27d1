"""What collector and operator say of how jobs came; see the package docstring for who sends what, and when."""

from typing import Final, Literal

from pydantic import Field

from workerpool_operator.protocol._base import Message, Name

MOST_BINS: Final = 2048
"""More than a course ever has."""


class CourseReport(Message):
    """How fast jobs came, by bins of equal length, oldest first."""

    width_seconds: float = Field(gt=0)
    first: int = Field(default=0, ge=0, description="Number of the oldest bin: its begin since 1970, by the width.")
    rates: tuple[float | None, ...] = Field(
        default=(), max_length=MOST_BINS, description="Jobs per second; null where nobody counted."
    )


class Arrivals(Message):
    """How jobs came to a pool, and the forecast that follows. Told whenever a bin has ended."""

    type: Literal["arrivals"] = "arrivals"
    pool: Name
    course: CourseReport
    rate: float | None = Field(default=None, ge=0, description="Jobs per second that are expected at most; or none.")
    error: float | None = Field(default=None, ge=0, description="Of the forecasts of the last season, as a share.")
    why: Name = Field(default="", description="Why nothing is expected.")


class PastArrivals(Message):
    """What the operator was told before of how jobs came to this pool: for a collector that begins anew."""

    type: Literal["past_arrivals"] = "past_arrivals"
    epoch: int
    pool: str
    course: CourseReport


class Predictive(Message):
    """What forecasts a pool wants."""

    season_seconds: int = Field(gt=0)
    horizon_seconds: int = Field(gt=0)
