"""The first moment of a pool that has slept: two workers ahead of the others, in mode direct.

Pods that start together share cores, kubelet and disk of their nodes, and the first of them is hardly there before the
last. Started alone it takes jobs two or three times sooner, while the others lose less than they wait: what it loads
they find loaded. Where jobs are short it has done them all by then, and the others never start. Two, and not one, as a
hedge (Dean and Barroso, The Tail at Scale, 2013): they start on different nodes where there are such, and the first of
two is late only where both are, be it by a slow node, an image to be pulled, or a question of kubelet's that came a
moment too early and is asked again a period later.
"""

import math
from dataclasses import replace
from typing import Final

from workerpool_operator.api import Limiter
from workerpool_operator.domain.scaling import Decision, History, Inputs, Outcome

AHEAD_WORKERS: Final = 2
AHEAD_SECONDS: Final = 1.0
"""The others follow when one of the first says that it takes jobs, and after so long whatever they say."""
_WAKING: Final = frozenset({Outcome.ACTIVE, Outcome.PARTIAL})


def first_ahead(decision: Decision, inputs: Inputs) -> tuple[int, Decision]:
    """Give the size for now and the decision that says so: for that moment those ahead, else what was decided here."""
    rules, current, now = inputs.rules, inputs.current, inputs.now
    sleeps = not (rules.min_replicas or rules.warm_replicas or rules.overrides.at_least)
    waits = current <= AHEAD_WORKERS < decision.desired and decision.outcome in _WAKING
    left = AHEAD_SECONDS + (now if current == 0 else _woke_at(decision.history)) - now
    if not (sleeps and waits) or inputs.fleet.heard or left <= 0:
        return decision.desired, decision
    again = left if decision.look_again is None else min(left, decision.look_again)
    limited_by = (*decision.limited_by, Limiter.WAKING)
    return AHEAD_WORKERS, replace(decision, limited_by=limited_by, look_again=again)


def _woke_at(history: History) -> float:
    """When the pool got its first worker; long ago where that was not seen."""
    match history.sizes[-2:]:
        case ((_, 0), (at, _)):
            return at
        case _:
            return -math.inf
