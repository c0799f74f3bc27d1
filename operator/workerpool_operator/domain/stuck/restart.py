"""When a stuck worker may be restarted, and which: one at a time, and not for ever.

Everything follows from what is observed. What is remembered only makes it wait: a new leader begins as if a worker had
just been restarted. Its pod is deleted, and the Deployment makes another; before that it is fenced, and has the time
that scale-in gives a worker to be done with its jobs.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from workerpool_operator.domain.scaling import Leaver, Worker
from workerpool_operator.domain.scaling.workers import REPORT_FRESH_SECONDS
from workerpool_operator.domain.stuck.evidence import Conduct
from workerpool_operator.domain.stuck.find import Findings

FUTILE_SECONDS: Final = 600.0
"""Where the last restart has not helped, the next comes so long after it: the fault lies elsewhere, or everywhere."""


class Stage(StrEnum):
    """What is being done about stuck workers."""

    SETTLING = "Settling"
    """Nothing before all workers have been ready for a while."""
    FUTILE = "Futile"
    """Nothing for a while: the last restart has not helped, or nobody can tell."""
    DUE = "Due"
    """One is about to be restarted, as soon as nothing is lost by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restarts:
    """What must be remembered between two looks. Times are monotonic seconds."""

    whole_since: float | None = None
    """Since when all wanted workers have been ready, until they have been for long enough."""
    settled: bool = False
    """Whether they have been, since the last restart or the begin of the term."""
    chosen: str = ""
    """Uid of the worker that is to be restarted."""
    chosen_at: float = 0.0
    restarted: str = ""
    """Uid of the worker that was restarted last."""
    restarted_at: float | None = None

    def leaver(self, *, after: float, now: float) -> Leaver | None:
        """The chosen worker, for scale-in's step. An intake that hangs may be unable to answer its fence."""
        return Leaver(uid=self.chosen, deaf=now - self.chosen_at >= after) if self.chosen else None

    def ending(self, *, grace: float, now: float) -> frozenset[str]:
        """Uid of the worker whose pod may still be ending, which has `grace` seconds for it."""
        if self.restarted_at is None or now - self.restarted_at > grace:
            return frozenset()
        return frozenset({self.restarted})

    def done(self, *, now: float) -> "Restarts":
        """The chosen worker's pod is being deleted."""
        return Restarts(restarted=self.chosen, restarted_at=now)


def look(
    memory: Restarts,
    findings: Findings,
    conducts: Mapping[str, Conduct],
    *,
    whole: bool,
    after: float,
    now: float,
) -> tuple[Restarts, Stage | None]:
    """What is to be done about `findings`; None: nobody is stuck. `whole`: all wanted workers are ready."""
    memory = _settle(memory, whole=whole, after=after, now=now)
    stage = _stage(memory, findings, conducts, whole=whole, now=now)
    return (memory if stage is Stage.DUE else replace(memory, chosen="")), stage


def choose(memory: Restarts, workers: Iterable[Worker], *, stuck: frozenset[str], now: float) -> Restarts:
    """The stuck worker that loses least by it. None of them may have a pod that is not being deleted already."""
    candidates = [worker for worker in workers if worker.pod.uid in stuck]
    if not candidates:
        return replace(memory, chosen="")
    first = min(candidates, key=lambda worker: worker.order).pod.uid
    return memory if first == memory.chosen else replace(memory, chosen=first, chosen_at=now)


def _settle(memory: Restarts, *, whole: bool, after: float, now: float) -> Restarts:
    """The replacement has its time, too, and a little more: its first report comes a moment after it is ready."""
    if memory.settled:
        return memory
    if not whole:
        return replace(memory, whole_since=None)
    since = now if memory.whole_since is None else memory.whole_since
    return replace(memory, whole_since=since, settled=now - since >= after + REPORT_FRESH_SECONDS)


def _stage(
    memory: Restarts, findings: Findings, conducts: Mapping[str, Conduct], *, whole: bool, now: float
) -> Stage | None:
    if not findings.stuck:
        return None
    if not (whole and memory.settled):
        return Stage.SETTLING
    last = memory.restarted_at
    if last is None or now - last >= FUTILE_SECONDS:
        return Stage.DUE
    helped = findings.witnessed and all(conducts[uid].since < last for uid in findings.stuck)
    return Stage.DUE if helped else Stage.FUTILE
