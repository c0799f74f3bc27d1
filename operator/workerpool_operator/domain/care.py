"""The pool's stuck workers: who they are, and whether one of them may be restarted now."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from workerpool_operator.domain.desired.template import DRAIN_MARGIN_SECONDS
from workerpool_operator.domain.scaling import Worker
from workerpool_operator.domain.snapshot import Memory, Snapshot
from workerpool_operator.domain.stuck import RECHECK_SECONDS, Findings, Stage, choose, find, look


@dataclass(frozen=True, slots=True, kw_only=True)
class Care:
    """What is known of the pool's stuck workers, and what is being done about them."""

    findings: Findings = field(default_factory=Findings)
    stage: Stage | None = None

    @property
    def due(self) -> bool:
        """Whether one of them may be restarted now."""
        return self.stage is Stage.DUE

    @property
    def look_again(self) -> float | None:
        """Seconds until this may be otherwise by the passing of time alone."""
        return RECHECK_SECONDS if self.stage else self.findings.look_again


def assess(snapshot: Snapshot, memory: Memory, *, whole: bool) -> tuple[Care, Memory]:
    """Who is stuck, and whether one may be restarted. `whole`: all wanted workers are ready, and none is going.

    A worker counts while the collector knows its pod. One that has been restarted does not while it may be ending;
    then it does again, because its deletion may have been refused.
    """
    worker, now = snapshot.pool.spec.worker, snapshot.now
    after = float(worker.stuck_after_seconds)
    grace = float(worker.drain_timeout_seconds + DRAIN_MARGIN_SECONDS)
    present = snapshot.reports.keys() - memory.restarts.ending(grace=grace, now=now)
    conducts = {uid: one for uid, one in snapshot.conducts.items() if uid in present}
    names = {queue.name for queue in snapshot.pool.spec.queues}
    queues = {name: one for name, one in snapshot.waiting.items() if name in names}
    findings = find(conducts, queues, one_queue=len(names) == 1, after=after, now=now)
    restarts, stage = look(memory.restarts, findings, conducts, whole=whole, after=after, now=now)
    return Care(findings=findings, stage=stage), replace(memory, restarts=restarts)


def choose_one(snapshot: Snapshot, memory: Memory, care: Care, workers: Iterable[Worker]) -> Memory:
    """Settle who is restarted, when that is due and the pods are known."""
    if not care.due or snapshot.pods is None:
        return memory
    return replace(memory, restarts=choose(memory.restarts, workers, stuck=care.findings.stuck, now=snapshot.now))
