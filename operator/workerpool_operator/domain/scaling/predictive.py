"""From a forecast of arrivals to a floor: the workers that would be at work, were it the present.

`ceil(rate * seconds / (slots * u))`, by Little's law, with u the `utilization` that the pool aims at, or 1: 20 jobs/s
of 0.5 s, one slot -> 10. It is only ever a floor: whatever the forecast, the other targets speak as they do without.
"""

from dataclasses import dataclass
from typing import Final

from workerpool_operator.domain.scaling.terms import pods

LEAST_WORK: Final = 0.1
"""One worker that would be idle for nine tenths of the time is not asked for: the first job wakes a pool as well."""
NO_FORECAST: Final = "the collector has not told a forecast yet"
NO_READINGS: Final = "no queue can be read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What the collector expects; or why it expects nothing."""

    rate: float | None = None
    """Jobs per second, the most within the horizon."""
    error: float | None = None
    """By how much the forecasts of the last season were off, as a share of what came."""
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreseen:
    """What a pool's forecast asks for. `replicas` None: nothing, and `why`."""

    replicas: int | None = None
    rate: float | None = None
    error: float | None = None
    why: str = ""


def foresee(
    forecast: Forecast | None, *, seconds: float | None, slots: int, utilization: float, silence: str
) -> Foreseen:
    """The floor. `seconds`: that a job takes, None while no job has told (`silence`)."""
    if forecast is None:
        return Foreseen(why=NO_FORECAST)
    if forecast.rate is None or seconds is None:
        why = forecast.why or NO_FORECAST if forecast.rate is None else silence
        return Foreseen(rate=forecast.rate, error=forecast.error, why=why)
    needed = forecast.rate * seconds / (slots * utilization)
    return Foreseen(replicas=pods(needed) if needed >= LEAST_WORK else 0, rate=forecast.rate, error=forecast.error)
