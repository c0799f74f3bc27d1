"""How many workers a pool should have, and how to get rid of those it should not.

`decide(inputs)` is the only way to a size: the operator, and every tool that explains or simulates one, call it. In
mode hpa `follow` says how far an HPA has come in carrying it out.
The same inputs give the same answer however often they are asked: what must be remembered between two looks is in
`History`, which goes in and comes out. `scale_in.step` takes workers away without interrupting a job.
"""

from workerpool_operator.domain.scaling.budget import Claim, PoolId, settle
from workerpool_operator.domain.scaling.decide import Decision, Outcome, decide
from workerpool_operator.domain.scaling.drains import DRAIN, Drain
from workerpool_operator.domain.scaling.fleet import Fleet, muster
from workerpool_operator.domain.scaling.history import History
from workerpool_operator.domain.scaling.hpa import Followed, HpaInputs, HpaMemory, HpaState, follow
from workerpool_operator.domain.scaling.inputs import Allowance, Inputs, Pace, Rules, Sample, stale_after
from workerpool_operator.domain.scaling.overrides import THROTTLE, Overrides, Throttle, overrides
from workerpool_operator.domain.scaling.predictive import Forecast, Foreseen
from workerpool_operator.domain.scaling.scale_in import (
    MARK_SETTLE_SECONDS,
    PARTING_RECHECK_SECONDS,
    Ebb,
    Leaver,
    ScaleInMemory,
    ScaleInStep,
    Sizing,
    step,
)
from workerpool_operator.domain.scaling.schedules import Schedule
from workerpool_operator.domain.scaling.seats import GROWING_LIST_SECONDS, SeatMemory, occupied
from workerpool_operator.domain.scaling.shares import Shares, divide
from workerpool_operator.domain.scaling.terms import Backlog, Silence, Term
from workerpool_operator.domain.scaling.traffic import Meter, Progress, Service, Traffic, metered, served
from workerpool_operator.domain.scaling.workers import DELETION_COST, Pod, Report, Share, Worker, judge

__all__ = [
    "DELETION_COST",
    "DRAIN",
    "GROWING_LIST_SECONDS",
    "MARK_SETTLE_SECONDS",
    "PARTING_RECHECK_SECONDS",
    "THROTTLE",
    "Allowance",
    "Backlog",
    "Claim",
    "Decision",
    "Drain",
    "Ebb",
    "Fleet",
    "Followed",
    "Forecast",
    "Foreseen",
    "History",
    "HpaInputs",
    "HpaMemory",
    "HpaState",
    "Inputs",
    "Leaver",
    "Meter",
    "Outcome",
    "Overrides",
    "Pace",
    "Pod",
    "PoolId",
    "Progress",
    "Report",
    "Rules",
    "Sample",
    "ScaleInMemory",
    "ScaleInStep",
    "Schedule",
    "SeatMemory",
    "Service",
    "Share",
    "Shares",
    "Silence",
    "Sizing",
    "Term",
    "Throttle",
    "Traffic",
    "Worker",
    "decide",
    "divide",
    "follow",
    "judge",
    "metered",
    "muster",
    "occupied",
    "overrides",
    "served",
    "settle",
    "stale_after",
    "step",
]
