"""Batches: jobs of one type that one call of their handler does.

Each job stays a job of its own: with its slot, lease, checkpoint, attempt and outcome. What they share is the call, and
so the task. A batch begins when it is full, when its first job has waited long enough, or when there is no room for
another one; where it must wait for its turn then (the cpu lane's), others may join it still.

**One bad job.** When a call fails as a whole, nobody knows whose fault it is. So its halves are tried, at once and one
after the other, until who fails fails alone: log2(n) + 1 calls that fail for one culprit, and only the culprit's
attempt has failed. (EventBridge Pipes has it as AUTOMATIC_BISECT; to let all of them come back from the queue, as SQS
does, would cost each an attempt and the retry budget, and bring them together again.) Where very many fail it is not
one job's doing but what the handler calls: after twice as many failed calls nothing is split any more, and jobs fail
together, to come back later.

Two kinds of jobs are alone in their batch from the beginning: those whose worker died before (`redelivered`), because
what kills a worker leaves nobody to split its batch, and those that make their last attempt of several, so that no job
goes to the dead letters for what another one has done.

Jobs with one ordering key never meet here: the broker gives out one of them at a time.
"""

import asyncio
import contextvars
import json
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from workerpool._job import Job
from workerpool.errors import LeaseLost, RejectJob
from workerpool.runtime.execution import VERDICTS, Execution, described, reason_of
from workerpool.runtime.inflight import Running
from workerpool.runtime.lanes import Bound, NotHere
from workerpool.runtime.settle import Done, HandBack, Outcome
from workerpool.runtime.stations import Runnable, Station
from workerpool.runtime.verdict import Verdict
from workerpool.telemetry import logs
from workerpool.telemetry.metrics import FailureReason

if TYPE_CHECKING:
    from workerpool.guards.breaker import Call


@dataclass(slots=True, eq=False)
class Gathered:
    """A batch. Mutable: the loop's own record of it."""

    type: str
    station: Station
    fallback: bool
    probe: bool = False
    """Its job is to show whether its circuit may close."""
    jobs: list[Running] = field(default_factory=list)
    timer: asyncio.TimerHandle | None = None
    task: "asyncio.Task[None] | None" = None
    """From when it is due."""
    _cancelled: bool = False

    def add(self, running: Running) -> None:
        """One more job."""
        running.batch, running.task = self, self.task
        if self.task is not None:
            running.started_at = asyncio.get_running_loop().time()
        self.jobs.append(running)

    def begin(self, task: "asyncio.Task[None]") -> None:
        """It is due: this does it."""
        if self.timer is not None:
            self.timer.cancel()
        self.task, now = task, asyncio.get_running_loop().time()
        for one in self.jobs:
            one.task, one.started_at = task, now

    def cancel(self) -> None:
        """One of its jobs was cancelled."""
        if self.task is not None and not self._cancelled and self.over:
            self._cancelled = True
            for one in self.jobs:
                one.cancelled_at = asyncio.get_running_loop().time()
            self.task.cancel()

    @property
    def over(self) -> bool:
        """Whether no job is left that anybody here waits for."""
        return all(one.settling or one.cancelled is not None for one in self.jobs)


class Batches:
    """Gathers jobs."""

    def __init__(self, *, due: Callable[[Gathered], None], max_attempts: Callable[[], int]) -> None:
        """`due`: begin with this one. `max_attempts`: allowed now."""
        self._due = due
        self._max_attempts = max_attempts
        self._open: dict[tuple[str, bool], Gathered] = {}

    def add(self, running: Running, handler: Runnable) -> None:
        """One that has entered its lane, and whose handler does batches."""
        assert handler.batch is not None
        probe = handler.circuit is not None and handler.circuit.opened and not running.fallback
        if probe or self._alone(running):
            alone = Gathered(running.job.type, handler.station, running.fallback, probe)
            alone.add(running)
            self._due(alone)
            return
        key = (running.job.type, running.fallback)
        gathered = self._open.get(key)
        if gathered is None:
            gathered = self._open[key] = Gathered(running.job.type, handler.station, running.fallback)
            gathered.timer = asyncio.get_running_loop().call_later(handler.batch.wait, self._begin, gathered)
        gathered.add(running)
        if len(gathered.jobs) == handler.batch.size:
            self.close(gathered)
            self._begin(gathered)

    def close(self, gathered: Gathered) -> None:
        """Nobody may join it any more."""
        key = (gathered.type, gathered.fallback)
        if self._open.get(key) is gathered:
            del self._open[key]

    def no_more(self, *, of: Callable[[Station], bool] = lambda _: True) -> None:
        """No jobs come for these lanes now: what is gathered begins."""
        for gathered in list(self._open.values()):
            if of(gathered.station):
                self._begin(gathered)

    def _begin(self, gathered: Gathered) -> None:
        if gathered.task is None:
            self._due(gathered)

    def _alone(self, running: Running) -> bool:
        attempt = running.job.attempt
        return running.job.redelivered or (attempt > 1 and attempt >= self._max_attempts())


@dataclass(slots=True)
class _Member:
    running: Running
    job: Job

    def again(self) -> None:
        """It is in a call, maybe not the first one of its attempt: then it has the checkpoint of the one before."""
        self.running.failure = self.running.began_at = None
        if self.running.kept:
            self.job = replace(self.job, checkpointed=json.loads(self.running.kept))


@dataclass(frozen=True, slots=True)
class _Ended:
    """A call, as a circuit sees it."""

    verdict: Verdict
    settling: bool = True


class BatchRun:
    """One batch at work."""

    def __init__(
        self, gathered: Gathered, execution: Execution, *, settle: Callable[[Outcome], None], context: Any, log: Any
    ) -> None:
        self._gathered = gathered
        self._execution = execution
        self._handler = execution.handlers[gathered.type]
        self._figures = gathered.station.figures
        self._settle = settle
        self._context = context
        self._log = log
        self._failed_calls = 0

    async def run(self) -> None:
        """Do its jobs, in as many calls as it takes. All of them are settled then."""
        if self._hand_back_behind_circuit(self._gathered.jobs):
            return
        self._trace()
        logs.bind(job_type=self._gathered.type, batch_jobs=len(self._gathered.jobs))
        members = list(self._begun())
        most = 2 * math.ceil(math.log2(max(2, len(members)))) + 2
        parts = [members]
        while parts:
            part = list(self._left(parts.pop()))
            if not part or self._hand_back_behind_circuit(one.running for one in part):
                continue
            rest = await self._call(part, split=len(part) > 1 and self._failed_calls < most)
            middle = (len(rest) + 1) // 2
            parts += [half for half in (rest[middle:], rest[:middle]) if half]

    def _trace(self) -> None:
        """The handler's own spans are part of the first job's trace; the others' are linked with it."""
        traces = [one.trace for one in self._gathered.jobs if one.trace is not None]
        for trace in traces[1:]:
            contextvars.copy_context().run(trace.begin)
        if traces:
            traces[0].begin()
            for trace in traces:
                trace.batched(traces[0], len(traces))

    def _begun(self) -> Iterator[_Member]:
        for running in self._gathered.jobs:
            begun = self._execution.begin(running, self._figures, self._context)
            if isinstance(begun, Job):
                yield _Member(running, begun)
            else:
                self._settle(begun)

    def _left(self, part: Iterable[_Member]) -> Iterator[_Member]:
        """Those that are still to be done here."""
        for one in part:
            if one.running.cancelled is not None and not one.running.settling:
                self._settle(self._execution.cancelled(one.running, self._figures))
            if not one.running.settling:
                yield one

    def _hand_back_behind_circuit(self, jobs: Iterable[Running]) -> bool:
        """Whether the circuit was closed when they were taken, and is not any more."""
        circuit, gathered = self._handler.circuit, self._gathered
        if circuit is None or not circuit.opened or gathered.probe or gathered.fallback:
            return False
        for one in jobs:
            self._settle(HandBack(one))
        return True

    async def _call(self, part: list[_Member], *, split: bool) -> list[_Member]:
        """Call the handler and settle these jobs, but for those that are to be tried apart: they are returned."""
        run, timeout, clock = self._handler.run, self._handler.timeout, asyncio.get_running_loop().time
        if self._gathered.fallback and self._handler.fallback is not None:
            run = self._handler.fallback
        began = clock()
        for waiting in self._gathered.jobs:
            waiting.started_at = began  # those of the other half, too: their time has not begun
        for one in part:
            one.again()
        if self._figures.batches is not None:
            self._figures.batches.observe(len(part))
        error: BaseException | None = None
        try:
            await _in_lane(run, [one.job for one in part])
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                self._interrupted(part)
                raise
            error = RuntimeError("the handler was cancelled from within")
        except (Exception, SystemExit) as raised:  # noqa: BLE001  whatever it is, it is these jobs' failure
            error = raised
        if error is None:
            self._returned(part)
            return []
        late = timeout is not None and clock() - began >= timeout
        return self._raised(part, error, reason_of(error, late=late), split=split)

    def _interrupted(self, part: list[_Member]) -> None:
        """It was cancelled from outside. Jobs of which nobody said so go back when the task ends."""
        self._spent(part, part)
        for running in self._gathered.jobs:
            if running.cancelled is not None and not running.settling:
                self._settle(self._execution.cancelled(running, self._figures))

    def _returned(self, part: list[_Member]) -> None:
        """The handler has done them, but for those that it has marked."""
        self._spent(part, part)
        left = [one.running for one in part if not one.running.settling]
        verdicts = {_verdict(running) for running in left}
        said = next((one for one in (Verdict.DONE, Verdict.FAILED) if one in verdicts), Verdict.NONE)
        spared = self._tell(said)
        for running in left:
            self._settle_marked(running, spared=spared)

    def _raised(
        self, part: list[_Member], error: BaseException, reason: FailureReason, *, split: bool
    ) -> list[_Member]:
        """It failed as a whole: return those whose fault that may be, if there are several of them."""
        self._failed_calls += 1
        spared = self._tell(VERDICTS.get(reason, Verdict.NONE))
        again, ended = [], part
        if split and not spared and not isinstance(error, NotHere):
            self._log.warning("a batch failed, its halves are tried", jobs=len(part), error=described(error)[0])
            again = [one for one in part if one.running.failure is None]
            ended = [one for one in part if one.running.failure is not None]
        self._spent(part, ended)
        for running in (one.running for one in ended if not one.running.settling):
            if running.failure is not None:
                self._settle_marked(running, spared=spared)
            elif isinstance(error, NotHere):
                self._settle(HandBack(running))
            elif isinstance(error, LeaseLost) and len(part) == 1:
                self._settle(self._execution.lost(running, self._figures))
            else:
                running.verdict = VERDICTS.get(reason, Verdict.NONE)
                self._settle(self._execution.failed(running, self._figures, reason, error, spared=spared))
        return again

    def _settle_marked(self, running: Running, *, spared: bool) -> None:
        """By what the handler said of it alone; nothing is praise."""
        error, running.verdict = running.failure, _verdict(running)
        if error is None:
            self._settle(Done(running))
            return
        reason = FailureReason.REJECTED if isinstance(error, RejectJob) else FailureReason.ERROR
        spared = spared and reason is FailureReason.ERROR
        self._settle(self._execution.failed(running, self._figures, reason, error, spared=spared))

    def _spent(self, part: Iterable[_Member], ended: Iterable[_Member]) -> None:
        """A call is over, and with it the attempts of those that ended."""
        now = asyncio.get_running_loop().time()
        for one in part:
            began = one.running.began_at or one.running.started_at
            one.running.took += now - began if began is not None else 0.0
        for one in ended:
            if not one.running.settling:
                self._execution.count(one.running, self._figures)

    def _tell(self, verdict: Verdict) -> bool:
        """Tell the circuit how a call went: a batch is one. True: its failure is that of what it calls."""
        circuit, gathered = self._handler.circuit, self._gathered
        if circuit is None or gathered.fallback:
            return False
        call: Call = _Ended(verdict)
        if gathered.probe:
            call = gathered.jobs[0]
            gathered.jobs[0].verdict = verdict
        circuit.ended(call, now=asyncio.get_running_loop().time())
        return verdict not in {Verdict.NONE, Verdict.DONE} and circuit.opened


async def _in_lane(run: Bound, jobs: list[Job]) -> None:
    try:
        await run(jobs)
    except NotHere as error:
        await asyncio.sleep(error.pause)
        raise


def _verdict(running: Running) -> Verdict:
    if running.failure is None:
        return Verdict.DONE
    return Verdict.NONE if isinstance(running.failure, RejectJob) else Verdict.FAILED
