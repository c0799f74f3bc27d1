"""How long the handlers of a pool take, as its workers tell, over more than a day."""

from collections.abc import Container
from typing import Final

from tests.component.alerts.cases import ALWAYS, POOL, minutes
from tests.component.alerts.promtool import Series
from workerpool.telemetry.metrics import PROCESSING_SECONDS

DAY: Final = 1440
"""Minutes."""
CHANGE: Final = DAY + 60
"""Minute in which they become slower: for an hour there is a yesterday to compare with."""


def handlers(
    before: float,
    *,
    later: float | None = None,
    per_second: float = 1.0,
    seen: Container[int] = ALWAYS,
    since: int = 0,
    **labels: str,
) -> tuple[Series, ...]:
    """One worker's histogram: each job takes `before` seconds, and `later` from minute `CHANGE` on.

    `seen`: seconds in which it is scraped; `since`: second in which its process has begun.
    """
    after = before if later is None else later

    def done(now: int) -> tuple[float, float]:
        change = max(since, minutes(CHANGE))
        return per_second * max(0, min(now, change) - since), per_second * max(0, now - change)

    def one(metric: str, *, early: float, late: float, **more: str) -> Series:
        def values(now: int) -> float | None:
            first, second = done(now)
            return early * first + late * second if now in seen else None

        own = {"pod": "w0", "lane": "io", "version": "a"}
        return Series(metric=f"job_processing_seconds_{metric}", labels=POOL | own | labels | more, values=values)

    bounds = [(f"{bound:g}", bound) for bound in PROCESSING_SECONDS if bound >= min(before, after) / 10]
    return (
        *(one("bucket", early=before <= bound, late=after <= bound, le=name) for name, bound in bounds),
        one("bucket", early=1, late=1, le="+Inf"),
        one("sum", early=before, late=after),
        one("count", early=1, late=1),
    )
