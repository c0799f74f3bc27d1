"""The last moment before a pool without jobs becomes smaller, in mode direct: who goes then can be marked already.

A mark takes a second until it is surely seen, and workers without a job that wait for that do nothing for anybody. Only
where no job is left at all: elsewhere a worker that is idle now has a job in a moment, and its mark has to go again.
"""

from dataclasses import replace
from typing import Final

from workerpool_operator.api import Limiter
from workerpool_operator.domain.scaling import MARK_SETTLE_SECONDS, Decision, Inputs, Outcome, decide

AHEAD_SECONDS: Final = MARK_SETTLE_SECONDS + 0.3
"""A mark settles, after the pods were listed and it was written."""


def size_soon(decision: Decision, inputs: Inputs) -> tuple[int, Decision]:
    """Give the size that follows within that time if nothing happens, and the decision with a look when it begins."""
    backlog, window = decision.backlog, inputs.rules.down.stabilization_seconds
    without_jobs = decision.outcome is Outcome.ACTIVE and backlog is not None and not backlog.total
    if not without_jobs or Limiter.STABILIZATION not in decision.limited_by:
        return decision.desired, decision
    begins = [at + window - AHEAD_SECONDS - inputs.now for at, _ in decision.history.peaks[:-1]]
    ahead = [left for left in (*begins, decision.look_again) if left is not None and left > 0]
    decision = replace(decision, look_again=min(ahead, default=None))
    if not any(left <= 0 for left in begins):
        return decision.desired, decision
    return min(decision.desired, decide(replace(inputs, now=inputs.now + AHEAD_SECONDS)).desired), decision
