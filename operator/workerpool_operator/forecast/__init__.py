"""How fast jobs will come, from how fast they came: pure, and without anything but the standard library.

The collector keeps a pool's `Course`, asks `predict` at the end of each bin, and tells the operator the `Outlook`, from
which `domain.scaling` makes a floor. `wpool simulate` asks the same function. The operator holds each course as well,
as it is told it, and gives it to a collector that begins anew: so a course is lost only with all of them at once.
"""

from workerpool_operator.forecast.course import (
    MOST_RATE,
    SEASON_BINS,
    SEASONS,
    Course,
    lead_bins,
    merged,
    width_of,
)
from workerpool_operator.forecast.outlook import MOST_ERROR, Outlook, predict

__all__ = [
    "MOST_ERROR",
    "MOST_RATE",
    "SEASONS",
    "SEASON_BINS",
    "Course",
    "Outlook",
    "lead_bins",
    "merged",
    "predict",
    "width_of",
]
