"""What was seen while something was broken, held against what was expected: pure.

A story is what was seen, look by look, and when what was done; times are of one monotonic clock, in seconds.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

from workerpool_operator.cli.chaos.table import Check, Scenario

KEYS: Final = ("scenario", "expected", "observed", "recovered_seconds", "jobs_lost")
HOLD_SECONDS: Final = 3.0
"""What has recovered stays so for this long, else it had not."""
END_SECONDS: Final = 5.0
"""Jobs that were at work when the fault struck may end so long after it."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What one look has shown."""

    at: float
    ready: bool = False
    """Condition Ready of the pool."""
    reachable: bool = False
    """Condition QueueReachable of the pool."""
    desired: int = 0
    workers: Mapping[str, int] = field(default_factory=dict)
    """Ready pods that are not being stopped: uid -> restarts of its container."""
    done: float | None = None
    """Jobs done since the start of the play; None where that is not known."""
    healed: bool = True
    """Whether what was struck is there again."""
    trouble: str = ""
    """Why nothing could be seen; then the rest says nothing."""

    @property
    def steady(self) -> bool:
        """Whether the pool is as it should be."""
        full = len(self.workers) >= max(1, self.desired)
        return not self.trouble and self.ready and self.reachable and full and self.healed


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What became of the jobs that were counted."""

    enqueued: int
    lost: int
    """Not done when the play was over, and those that died."""
    duplicated: int
    interrupted: int


@dataclass(slots=True, kw_only=True)
class Story:
    """What happened."""

    sights: list[Sight] = field(default_factory=list)
    struck_at: float = 0.0
    mended_at: float = 0.0
    did: str = ""
    """What was broken, as the hands tell it."""
    victims: frozenset[str] = frozenset()
    """Uids of the worker pods that were struck."""
    took: bool | None = None
    """Whether the fault took effect; None where only the checks show that."""
    tally: Tally | None = None

    @property
    def before(self) -> Sight:
        """The last look before the stroke."""
        return max((one for one in self.sights if one.at <= self.struck_at), key=lambda one: one.at)

    def between(self, begin: float, end: float) -> list[Sight]:
        """Looks of this time that have shown something."""
        return [one for one in self.sights if begin <= one.at <= end and not one.trouble]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The outcome of a play."""

    scenario: str
    expected: str
    observed: str
    recovered_seconds: float | None
    """None: it had not when patience ended."""
    jobs_lost: int | None
    """None: not counted."""
    ok: bool
    """Whether all was as expected."""

    def to_json(self) -> dict[str, Any]:
        """The keys that others read."""
        return {key: getattr(self, key) for key in KEYS}


def recovered(story: Story, scenario: Scenario) -> float | None:
    """Seconds until all was as before, and stayed so; None while that cannot be said.

    Counted from the stroke where it heals by itself, else from the end of the fault.
    """
    origin = story.struck_at if scenario.heals_itself else story.mended_at
    later = [one for one in story.sights if one.at > origin]
    done = _done_at(story, origin)
    found: float | None = None
    for sight in later:
        flows = sight.done is None or done is None or sight.done > done
        if not (sight.steady and flows):
            found = None
        elif found is None:
            found = sight.at
    if found is None or later[-1].at - found < HOLD_SECONDS:
        return None
    return round(found - origin, 1)


def judge(story: Story, scenario: Scenario) -> Row:
    """The row, in words and figures."""
    seconds = recovered(story, scenario)
    checks = {check: _CHECKS[check](story) for check in scenario.checks}
    idle = "" if story.took is not False else "NOT so: it took effect"
    told = [story.did, idle, *(_told(check, holds) for check, holds in checks.items())]
    in_time = seconds is not None and seconds <= scenario.recovers_within
    told.append(_recovery(seconds, scenario))
    lost = story.tally.lost if story.tally else None
    told.append(_jobs(story.tally))
    held = in_time and not lost and not idle and all(holds is not False for holds in checks.values())
    return Row(
        scenario=scenario.name,
        expected=f"{scenario.expected}; recovered within {scenario.recovers_within:g} s; no job lost",
        observed="; ".join(filter(None, told)),
        recovered_seconds=seconds,
        jobs_lost=lost,
        ok=held,
    )


def _recovery(seconds: float | None, scenario: Scenario) -> str:
    if seconds is None:
        return f"NOT recovered {scenario.recovers_within:g} s later"
    late = "" if seconds <= scenario.recovers_within else f", LATER than {scenario.recovers_within:g} s"
    return f"recovered {seconds:g} s after {'the stroke' if scenario.heals_itself else 'its end'}{late}"


def _jobs(tally: Tally | None) -> str:
    if tally is None:
        return "jobs not counted"
    return (
        f"of {tally.enqueued} jobs {tally.lost} lost, {tally.interrupted} interrupted and begun again, "
        f"{tally.duplicated} done twice"
    )


def _told(check: Check, holds: bool | None) -> str:
    if holds is None:
        return f"not known: {check.value}"
    return check.value if holds else f"NOT so: {check.value}"


def _done_at(story: Story, moment: float) -> float | None:
    return max((one.done for one in story.between(0, moment) if one.done is not None), default=None)


def _goes_on(story: Story) -> bool | None:
    before, then = _done_at(story, story.struck_at), _done_at(story, story.mended_at)
    return None if before is None or then is None else then > before


def _stops(story: Story) -> bool | None:
    looks = [one.done for one in story.between(story.struck_at + END_SECONDS, story.mended_at) if one.done is not None]
    return len(set(looks)) == 1 if looks else None


def _untouched(story: Story) -> bool | None:
    """A pod that is there no more, although as many are wanted as before, was replaced."""
    spared = {uid: count for uid, count in story.before.workers.items() if uid not in story.victims}
    looks = story.between(story.struck_at, float("inf"))
    restarted = any(one.workers.get(uid, count) > count for one in looks for uid, count in spared.items())
    replaced = any(
        uid in earlier.workers and uid not in later.workers and set(later.workers) - set(story.before.workers)
        for earlier, later in pairwise([story.before, *looks])
        for uid in spared
        if later.desired >= story.before.desired
    )
    return not (restarted or replaced)


_CHECKS: Final[Mapping[Check, Callable[[Story], bool | None]]] = {
    Check.WORK_GOES_ON: _goes_on,
    Check.WORK_STOPS: _stops,
    Check.WORKERS_UNTOUCHED: _untouched,
}
