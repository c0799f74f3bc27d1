"""What keeps a size from being what the targets ask for: a chain, each link looks at what is left by those before it.

A link returns the size that it lets pass. One that changes it is named in the decision. None of them remembers
anything: what happened before is in the history.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from workerpool_operator.api import Limiter
from workerpool_operator.domain.scaling.history import History
from workerpool_operator.domain.scaling.inputs import Inputs, Pace
from workerpool_operator.domain.scaling.targets import Answers
from workerpool_operator.domain.scaling.terms import Backlog, pods


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What the links look at. `history` knows already what is wanted now."""

    inputs: Inputs
    answers: Answers
    backlog: Backlog
    complete: bool
    """Whether all queues have fresh samples."""
    history: History

    @property
    def quiet_left(self) -> float:
        """Seconds until the queues have been empty for the cooldown."""
        return self.history.active_at + self.inputs.rules.cooldown_seconds - self.inputs.now

    @property
    def fallback_in(self) -> float:
        """Seconds until the queues have been unknown for as long as the fallback waits."""
        since = self.history.blind_since
        return math.inf if since is None else since + self.inputs.rules.fallback_after - self.inputs.now

    @property
    def young(self) -> float:
        """Seconds that the history covers."""
        return self.inputs.now - self.history.since


def _stabilized_down(case: Case, wanted: int) -> int:
    """Scaling in follows the largest size wanted within the window; a history shorter than that allows none."""
    inputs = case.inputs
    floor = case.history.largest
    if case.young < inputs.rules.down.stabilization_seconds:
        floor = max(floor, inputs.current)
    kept = min(floor, max(inputs.current, wanted))
    return wanted if kept <= max(wanted, inputs.rules.min_replicas) else kept


def _stabilized_up(case: Case, wanted: int) -> int:
    """Scaling out follows the smallest size wanted within its window; before that, nobody wanted more than there is."""
    inputs = case.inputs
    ceiling = case.history.smallest
    if case.young < inputs.rules.up.stabilization_seconds:
        ceiling = min(ceiling, inputs.current)
    return min(wanted, max(ceiling, inputs.current))


def _cooled_down(case: Case, wanted: int) -> int:
    """One stays until all queues have been empty for the cooldown.

    After stabilisation, so that what the cooldown keeps is not remembered as wanted, and kept for longer still.
    """
    return 1 if wanted == 0 and case.inputs.current > 0 and case.quiet_left > 0 else wanted


def _all_read(case: Case, wanted: int) -> int:
    """Not fewer than there are while a queue is not read: it may hold any number of jobs."""
    return wanted if case.complete else max(wanted, case.inputs.current)


def _all_said(case: Case, wanted: int) -> int:
    """Not fewer than there are while a target cannot say what it asks for."""
    return max(wanted, case.inputs.current) if any(one.holds for one in case.answers.silent) else wanted


def _spared(case: Case, wanted: int) -> int:
    """Not more than there are while what the jobs call is down, but for the one that finds out when it is back."""
    return min(wanted, max(case.inputs.current, 1)) if case.inputs.fleet.downstream_is_down else wanted


def _paced_up(case: Case, wanted: int) -> int:
    """So many more per minute, of what there was a minute ago. Where both are given, whichever allows more."""
    pace, before = case.inputs.rules.up, case.history.minute_ago
    allowed = [before + pace.pods] if pace.pods is not None else []
    if pace.percent is not None:
        allowed.append(math.ceil(max(before, 1) * (100 + pace.percent) / 100) if before else 1)
    return min(wanted, max(*allowed, case.inputs.current)) if allowed else wanted


def _paced_down(case: Case, wanted: int) -> int:
    """The same in the other direction."""
    pace, before = case.inputs.rules.down, case.history.minute_ago
    allowed = [before - pace.pods] if pace.pods is not None else []
    if pace.percent is not None:
        allowed.append(math.floor(before * (100 - pace.percent) / 100))
    return max(wanted, min(*allowed, case.inputs.current)) if allowed else wanted


def _below_downstream(case: Case, wanted: int) -> int:
    """No more jobs at a time than what they call bears; one worker at least, whose slots the resource's rules bound.

    While no worker is heard that would say how many slots it has, those that are there stay: they were let in.
    """
    most, fleet = case.inputs.rules.downstream_concurrency, case.inputs.fleet
    if not most:
        return wanted
    unheard = case.inputs.current if fleet.slots is None else 0
    return min(wanted, max(1, most // case.inputs.slots, unheard))


def _below_rate_limit(case: Case, wanted: int) -> int:
    """No more workers than the pool's rate limit can keep busy: `ceil(rate * seconds / slots)`, by Little's law."""
    rate, seconds = case.inputs.rules.rate_limit, case.inputs.traffic.service_seconds
    if rate is None or seconds is None:
        return wanted
    return min(wanted, max(1, pods(rate * seconds / case.inputs.slots)))


def _below_partitions(case: Case, wanted: int) -> int:
    """No more workers than there are partitions, in all queues together: another one would find nothing assigned."""
    counts = [sample.partitions for sample in case.inputs.samples if sample.usable]
    known = [count for count in counts if count is not None]
    return min(wanted, sum(known)) if case.complete and known and len(known) == len(counts) else wanted


def _frozen(case: Case, wanted: int) -> int:
    """A person said that no worker is to be taken away, or that none is to be added."""
    said, current = case.inputs.rules.overrides, case.inputs.current
    if (wanted < current and said.frozen_in) or (wanted > current and said.frozen_out):
        return current
    return wanted


def _forced(case: Case, wanted: int) -> int:
    """A person said how many there have to be at least. No limit on growth holds that up."""
    return max(wanted, case.inputs.rules.overrides.at_least)


def _not_below(link: Callable[[Case, int], int]) -> Callable[[Case, int], int]:
    """The link as a bound on growth only: what it bounds by may be as little known as the queues are."""
    return lambda case, wanted: max(link(case, wanted), min(wanted, case.inputs.current))


def _fallen_back(case: Case, wanted: int) -> int:
    """The queues have not been read for so long that what was asked for then is no guide any more."""
    return max(wanted, case.inputs.rules.fallback_replicas) if case.fallback_in <= 0 else wanted


def _at_least(case: Case, wanted: int) -> int:
    return max(wanted, case.inputs.rules.min_replicas)


def _at_most(case: Case, wanted: int) -> int:
    return min(wanted, case.inputs.rules.max_replicas)


_CHAIN: Final[tuple[tuple[Limiter, Callable[[Case, int], int]], ...]] = (
    (Limiter.STABILIZATION, _stabilized_down),
    (Limiter.STABILIZATION, _stabilized_up),
    (Limiter.COOLDOWN, _cooled_down),
    (Limiter.STALE, _all_read),
    (Limiter.UNKNOWN, _all_said),
    (Limiter.DOWNSTREAM, _spared),
    (Limiter.SCALE_UP_RATE, _paced_up),
    (Limiter.SCALE_DOWN_RATE, _paced_down),
    (Limiter.DOWNSTREAM_CONCURRENCY, _below_downstream),
    (Limiter.RATE_LIMIT, _below_rate_limit),
    (Limiter.PARTITIONS, _below_partitions),
    (Limiter.FROZEN, _frozen),
    (Limiter.FORCED, _forced),
)
_BLIND: Final[tuple[tuple[Limiter, Callable[[Case, int], int]], ...]] = (
    (Limiter.FALLBACK, _fallen_back),
    (Limiter.DOWNSTREAM, _spared),
    (Limiter.DOWNSTREAM_CONCURRENCY, _not_below(_below_downstream)),
    (Limiter.RATE_LIMIT, _not_below(_below_rate_limit)),
    (Limiter.FROZEN, _frozen),
    (Limiter.FORCED, _forced),
)
_BOUNDS: Final[tuple[tuple[Limiter, Callable[[Case, int], int]], ...]] = (
    (Limiter.MIN_REPLICAS, _at_least),
    (Limiter.MAX_REPLICAS, _at_most),
)


def within_budget(inputs: Inputs, wanted: int) -> int:
    """Last of all, and stronger than any other word: what others have is not the pool's, whatever it is asked to be.

    But a person's word that none is taken away holds: then the budget waits.
    """
    if inputs.allowance is None:
        return wanted
    granted = inputs.allowance.granted
    held = granted is None or inputs.rules.overrides.frozen_in
    return min(wanted, max(granted or 0, inputs.current if held else 0))


def limit(case: Case, wanted: int) -> tuple[int, tuple[Limiter, ...]]:
    """The size that is left of what is wanted, and what changed it.

    What was held back above `minReplicas` and is then raised to it was not kept from anything.
    """
    size, limited = _through(_CHAIN, case, wanted)
    bounded, bounds = _through(_BOUNDS, case, size)
    return bounded, bounds if bounds == (Limiter.MIN_REPLICAS,) else limited + bounds


def limit_blind(case: Case) -> tuple[int, tuple[Limiter, ...]]:
    """The same while nothing is known of the queues: what there is, or what is wanted whatever they hold."""
    size, limited = _through(_BLIND, case, max(case.inputs.current, case.answers.wanted))
    bounded, bounds = _through(_BOUNDS, case, size)
    return bounded, limited + bounds


def _through(
    chain: tuple[tuple[Limiter, Callable[[Case, int], int]], ...], case: Case, wanted: int
) -> tuple[int, tuple[Limiter, ...]]:
    limited: list[Limiter] = []
    for name, link in chain:
        passed = link(case, wanted)
        if passed != wanted:
            limited.append(name)
        wanted = passed
    return wanted, tuple(limited)


def moments(case: Case, desired: int) -> list[float]:
    """Seconds from now at which a limit may let something else pass; those that are over are not above 0."""
    inputs, history = case.inputs, case.history
    found: list[float] = []
    if desired > inputs.rules.min_replicas:
        found += [left + inputs.rules.down.stabilization_seconds for left in (history.peaks[0][0], history.since)]
        if not case.backlog.total:
            found.append(history.active_at + inputs.rules.cooldown_seconds)
    if desired < case.answers.wanted:
        found += [left + inputs.rules.up.stabilization_seconds for left in (history.troughs[0][0], history.since)]
    if desired != case.answers.wanted and (_paces(inputs.rules.up) or _paces(inputs.rules.down)):
        found.append(history.next_minute)
    return [at - inputs.now for at in found]


def _paces(pace: Pace) -> bool:
    return pace.pods is not None or pace.percent is not None
