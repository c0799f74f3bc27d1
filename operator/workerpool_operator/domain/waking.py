"""The first moment of a pool that has slept: one worker ahead of the others, in mode direct.

Pods that start together share cores, kubelet and disk of their nodes, and the first of them is hardly there before the
last. Started alone it takes jobs two or three times sooner, while the others lose less than they wait: what it loads
they find loaded. Where jobs are short it has done them all by then, and the others never start.
"""

import math
from dataclasses import replace
from typing import Final

from workerpool_operator.api import Limiter
from workerpool_operator.domain.scaling import Decision, History, Outcome

AHEAD_SECONDS: Final = 1.0
"""The others follow when the first one says that it takes jobs, and after so long whatever it says."""
_WAKING: Final = frozenset({Outcome.ACTIVE, Outcome.PARTIAL})


def first_alone(decision: Decision, *, current: int, heard: int, sleeps: bool, now: float) -> tuple[int, Decision]:
    """Give the size for now: 1 for that moment, else what was decided; and the decision that says so.

    `heard`: workers that say that they are there. `sleeps`: whether the pool may have none at all.
    """
    left = AHEAD_SECONDS + (now if current == 0 else _woke_at(decision.history)) - now
    waits = sleeps and not heard and current <= 1 < decision.desired and decision.outcome in _WAKING
    if not waits or left <= 0:
        return decision.desired, decision
    again = left if decision.look_again is None else min(left, decision.look_again)
    return 1, replace(decision, limited_by=(*decision.limited_by, Limiter.WAKING), look_again=again)


def _woke_at(history: History) -> float:
    """When the pool got its first worker; long ago where that was not seen."""
    match history.sizes[-2:]:
        case ((_, 0), (at, _)):
            return at
        case _:
            return -math.inf
