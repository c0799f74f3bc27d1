"""Running one job: from what was taken to how it ended."""

import asyncio
import json
import random
import traceback
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from workerpool._job import MAX_PAYLOAD_BYTES, Job
from workerpool.broker import DeadLetter, DeathReason, Taken
from workerpool.errors import LeaseLost, RejectJob
from workerpool.runtime.inflight import Cancelled, Running
from workerpool.runtime.lanes import HandlerFailed, NotHere, ProcessDied
from workerpool.runtime.live import Policy, retry_delay
from workerpool.runtime.settle import Bury, Done, Drop, HandBack, Outcome, TryAgain
from workerpool.runtime.stations import Runnable
from workerpool.runtime.verdict import Verdict
from workerpool.telemetry import fates, logs
from workerpool.telemetry.metrics import FailureReason, LaneMetrics

if TYPE_CHECKING:
    from workerpool.guards.retries import RetryBudget

_LONGEST_TRACEBACK: Final = 8_000


class RanBy(NamedTuple):
    """Who ran it: kept with dead letters."""

    version: str
    worker: str


class Execution:
    """Runs jobs and decides what becomes of them. Never raises: whatever a handler does is an outcome.

    Attributes:
        handlers: In their lanes, by type of job.
    """

    def __init__(
        self,
        handlers: Mapping[str, Runnable],
        *,
        policy: Callable[[], Policy],
        ran_by: RanBy,
        slow: Callable[[str], float],
        firsts: Callable[[], int],
        log: Any,
    ) -> None:
        """`slow`: seconds from which on an attempt is slow, by its type of job."""
        self.handlers = handlers
        self._policy = policy
        self._ran_by = ran_by
        self._slow = slow
        self._firsts = firsts
        self._log = log
        self._budget: RetryBudget | None = None

    async def run(self, running: Running, figures: LaneMetrics, context: Any) -> Outcome:
        """Run it to its end; `figures` are its lane's."""
        job = running.job
        logs.bind(**about_job(job))
        begun = self.begin(running, figures, context)
        if not isinstance(begun, Job):
            return begun
        return await self._attempt(running, figures, self.handlers[job.type], begun)

    def begin(self, running: Running, figures: LaneMetrics, context: Any) -> Job | Outcome:
        """What its handler is given; an outcome, if there is nothing to run."""
        job = running.job
        refused = self._refuse(running, figures)
        if refused is not None:
            return refused
        try:
            payload = json.loads(job.payload)
            checkpointed = json.loads(job.checkpoint) if job.checkpoint else None
        except (ValueError, RecursionError) as error:
            text = f"the payload or the checkpoint is not JSON: {error}"
            return self._fail(running, figures, FailureReason.MALFORMED, text)
        figures.started += 1
        figures.first_attempts += job.attempt == 1 and not _is_probe(running)
        if job.type not in self.handlers:
            known = ", ".join(sorted(self.handlers)) or "none"
            return self._fail(running, figures, FailureReason.UNKNOWN_TYPE, f"no handler for this type; known: {known}")
        return Job(
            job.job_id,
            job.type,
            payload,
            job.attempt,
            running.queue,
            context,
            checkpointed,
            running.broker.identity,
            job.tenant,
            job.priority,
            job.ordering_key,
            running,
        )

    async def _attempt(self, running: Running, figures: LaneMetrics, handler: Runnable, job: Job) -> Outcome:
        clock = asyncio.get_running_loop().time
        began, not_here = clock(), None
        try:
            await (handler.run if not running.fallback or handler.fallback is None else handler.fallback)(job)
        except asyncio.CancelledError:
            return self.cancelled(running, figures)
        except NotHere as error:
            not_here = error
        except LeaseLost:
            return self.lost(running, figures)
        except (Exception, SystemExit) as error:  # noqa: BLE001  whatever it is, it is this job's failure
            late = handler.timeout is not None and clock() - began >= handler.timeout
            return self._fail(running, figures, reason_of(error, late=late), error)
        finally:
            running.took = clock() - (began if running.began_at is None else running.began_at)
            self.count(running, figures)
        if not_here is not None:
            return await self._go_back(running, figures, pause=not_here.pause)
        _tell(running, Verdict.DONE)
        return Done(running)

    async def _go_back(self, running: Running, figures: LaneMetrics, *, pause: float) -> Outcome:
        try:
            await asyncio.sleep(pause)
        except asyncio.CancelledError:
            return self.cancelled(running, figures)
        return HandBack(running)

    def count(self, running: Running, figures: LaneMetrics) -> None:
        """Its handler has ended."""
        figures.processing.observe(running.took)
        if running.took >= self._slow(running.job.type):
            figures.first_slow += running.job.attempt == 1
            if running.trace is not None:
                running.trace.slow()
        late_after = self._policy().late_after
        if late_after is not None:
            took = running.job.waited + asyncio.get_running_loop().time() - running.taken_at
            figures.first_late = (figures.first_late or 0) + (running.job.attempt == 1 and took >= late_after)
        figures.duplicates_skipped += running.duplicate

    def given_up(self, running: Running, figures: LaneMetrics) -> Outcome:
        """It was cancelled and goes on: whatever it does from now on counts no more."""
        running.took = asyncio.get_running_loop().time() - (running.started_at or running.taken_at)
        self._log.warning("a handler does not heed its cancellation", job_id=running.job.job_id)
        if running.cancelled is not None:
            return self.cancelled(running, figures)
        return self._fail(running, figures, FailureReason.TIMEOUT, "it was cancelled at its timeout and went on")

    def _refuse(self, running: Running, figures: LaneMetrics) -> Outcome | None:
        """What must not be started at all."""
        job = running.job
        if job.malformed:
            return self._fail(running, figures, FailureReason.MALFORMED, job.malformed)
        if len(job.payload) > MAX_PAYLOAD_BYTES:
            text = f"the payload has {len(job.payload)} bytes, at most {MAX_PAYLOAD_BYTES} are taken"
            return self._fail(running, figures, FailureReason.OVERSIZE, text)
        allowed = self._policy().max_attempts
        if job.attempt > allowed:
            text = f"{job.attempt - 1} attempts of {allowed} were made, and the last one ended with its worker's death"
            return self._fail(running, figures, FailureReason.MAX_ATTEMPTS, text)
        return None

    def lost(self, running: Running, figures: LaneMetrics) -> Outcome:
        """It is not ours any more."""
        if not running.settling:  # else it was given up, and has ended after all
            _count_failure(running, figures, FailureReason.LEASE_LOST)
        return Drop(running)

    def cancelled(self, running: Running, figures: LaneMetrics) -> Outcome:
        """Its handler was cancelled."""
        match running.cancelled:
            case Cancelled.DRAIN:
                return HandBack(running)
            case Cancelled.LEASE_LOST:
                return self.lost(running, figures)
            case None:  # by the handler itself, or by a library that leaked it
                return self._fail(running, figures, FailureReason.ERROR, "the handler was cancelled from within")

    def _fail(
        self, running: Running, figures: LaneMetrics, reason: FailureReason, cause: BaseException | str
    ) -> Outcome:
        spared = _tell(running, VERDICTS.get(reason, Verdict.NONE))
        return self.failed(running, figures, reason, cause, spared=spared)

    def failed(
        self,
        running: Running,
        figures: LaneMetrics,
        reason: FailureReason,
        cause: BaseException | str,
        *,
        spared: bool = False,
    ) -> Outcome:
        """What becomes of a job that failed. `spared`: by its circuit, which is told of it before."""
        if running.settling:  # it was given up, and has ended after all
            return Drop(running)
        _count_failure(running, figures, reason, spared=spared)
        text, trace = described(cause)
        # What runs a batch has no one job's id bound.
        job = running.job
        about = {**about_job(job), "reason": reason.value}
        if running.trace is not None:
            running.trace.failed(reason.value, text, trace)
        if spared:
            self._log.warning(fates.SENT_BACK, **about, error=text)
            return HandBack(running)
        final = _FINAL.get(reason)
        again = self._again(running, figures) if final is None else None
        if again is not None:
            delay = round(again.delay, 3)
            self._log.warning(fates.FAILED, **about, error=text, delay=delay)
            figures.retried += 1
            return again
        death = final or DeathReason.MAX_ATTEMPTS
        self._log.error(fates.BURIED, **{**about, "reason": death.value}, error=text)
        return self._bury(running, death, text, trace)

    def broken(self, running: Running, error: BaseException) -> Outcome:
        """It ended by an error of this runtime. Nobody is asked who may have raised it."""
        policy = self._policy()
        if running.job.attempt < policy.max_attempts:
            return TryAgain(running, policy.backoff_max_seconds)
        return self._bury(running, DeathReason.MAX_ATTEMPTS, *described(error))

    def _bury(self, running: Running, death: DeathReason, text: str, trace: str) -> Bury:
        text, trace, who = text[:_LONGEST_TRACEBACK], trace[-_LONGEST_TRACEBACK:], self._ran_by
        return Bury(running, DeadLetter(running.job, death, text, trace, who.version, who.worker))

    def _again(self, running: Running, figures: LaneMetrics) -> TryAgain | None:
        """When it is tried again, beyond the budget late; None: never, for that was the last attempt."""
        policy, attempt = self._policy(), running.job.attempt
        if attempt >= policy.max_attempts:
            return None
        if self._budget is None:
            from workerpool.guards.retries import RetryBudget  # noqa: PLC0415  not before something fails

            self._budget = RetryBudget(firsts=self._firsts, log=self._log)
        if self._budget.spend(asyncio.get_running_loop().time()):
            return TryAgain(running, retry_delay(policy, failures=attempt))
        figures.put_off += 1
        return TryAgain(running, policy.backoff_max_seconds * random.uniform(0.5, 1.0))  # noqa: S311


def reason_of(error: BaseException, *, late: bool) -> FailureReason:
    """Of what a handler raised; `late`: when its time was up."""
    if isinstance(error, RejectJob):
        return FailureReason.REJECTED
    if isinstance(error, ProcessDied):
        return FailureReason.CRASHED
    return FailureReason.TIMEOUT if isinstance(error, TimeoutError) and late else FailureReason.ERROR


def _tell(running: Running, verdict: Verdict) -> bool:
    """Tell the guards how an attempt went. True: its failure is that of what it calls, and does not count."""
    if running.fallback or running.settling:
        return False
    running.verdict = verdict
    if running.circuit is None:
        return False
    running.circuit.ended(running, now=asyncio.get_running_loop().time())
    return verdict not in {Verdict.NONE, Verdict.DONE} and running.circuit.opened


def _is_probe(running: Running) -> bool:
    """Whether it is run to see if its circuit may close: should it fail, it will have its first attempt yet."""
    return running.circuit is not None and running.circuit.opened and not running.fallback


def _count_failure(running: Running, figures: LaneMetrics, reason: FailureReason, *, spared: bool = False) -> None:
    """`spared`: the attempt does not count, so the job will have its first one yet."""
    figures.failed[reason] += 1
    if running.job.attempt == 1 and reason not in _NOT_ITS_FAULT and not spared:
        figures.first_failures += 1


def described(cause: BaseException | str) -> tuple[str, str]:
    """Text and traceback."""
    if isinstance(cause, str):
        return cause, ""
    if isinstance(cause, HandlerFailed):
        return cause.text, cause.trace
    return f"{type(cause).__name__}: {cause}", "".join(traceback.format_exception(cause))


_FINAL: Final = {
    FailureReason.REJECTED: DeathReason.REJECTED,
    FailureReason.UNKNOWN_TYPE: DeathReason.UNKNOWN_TYPE,
    FailureReason.MALFORMED: DeathReason.MALFORMED,
    FailureReason.OVERSIZE: DeathReason.OVERSIZE,
    FailureReason.MAX_ATTEMPTS: DeathReason.MAX_ATTEMPTS,
}
"""Reasons for which no further attempt is made."""
VERDICTS: Final = {
    FailureReason.ERROR: Verdict.FAILED,
    FailureReason.CRASHED: Verdict.FAILED,
    FailureReason.TIMEOUT: Verdict.SLOW,
}
_NOT_ITS_FAULT: Final = frozenset(
    {FailureReason.MALFORMED, FailureReason.OVERSIZE, FailureReason.MAX_ATTEMPTS, FailureReason.LEASE_LOST}
)
"""Reasons that say nothing about this version's handlers: a canary is not judged by them."""


def about_job(job: Taken) -> dict[str, Any]:
    """What lines about a job say of it."""
    about: dict[str, Any] = {"job_id": job.job_id, "job_type": job.type, "attempt": job.attempt}
    return about | {"tenant": job.tenant} if job.tenant else about
