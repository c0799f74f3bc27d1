"""What a pool's figures were in the last minutes, since somebody has looked. Pure."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

WINDOW_SECONDS: Final = 900.0
STEP_SECONDS: Final = 2.0
_SPANS: Final = (60.0, 180.0, 420.0)

Points = Sequence[tuple[float, float | None]]
"""(monotonic seconds, value); None: not known then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """All charted figures of a pool at one time; None: not known."""

    at: float
    depth: float | None = None
    ready: float | None = None
    desired: float | None = None
    wait: float | None = None
    """Seconds."""
    throughput: float | None = None
    """Jobs per second."""


class Series:
    """The moments of the last `WINDOW_SECONDS`."""

    def __init__(self) -> None:
        self._moments: deque[Moment] = deque()

    def add(self, moment: Moment) -> None:
        """The newest one; what is too old goes."""
        self._moments.append(moment)
        while self._moments[0].at < moment.at - WINDOW_SECONDS:
            self._moments.popleft()

    def points(self, figure: str) -> Points:
        """One of the figures over time."""
        return [(moment.at, getattr(moment, figure)) for moment in self._moments]

    def span(self, *, now: float) -> float:
        """Seconds that a chart should show: in steps, so that a young history is no dot at the edge."""
        age = now - self._moments[0].at if self._moments else 0.0
        return next((step for step in _SPANS if age <= step), WINDOW_SECONDS)

    @property
    def last(self) -> Moment | None:
        """The newest one."""
        return self._moments[-1] if self._moments else None
