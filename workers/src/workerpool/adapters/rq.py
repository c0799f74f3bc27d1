"""RQ 3 or later: `rq worker -w workerpool.adapters.rq.Worker QUEUE...` keeps the worker contract.

| What is told | By |
|---|---|
| a job came | `dequeue_job_and_maintain_ttl`, which asks RQ for a job for a second at a time |
| an attempt begins, and how it ends | `execute_job`; the work horse tells by a pipe what RQ has done with the job |
| the loop turns | each of these seconds, and each in which the horse is waited for |
| drain, end | `handle_warm_shutdown_request` and the end of `work` |

One job at a time, in a child process (the horse) whose CPU and memory are the worker's. `SpawnWorker` is here, too, and
`SimpleWorker`, which runs jobs itself: while one runs only its own timeout tells whether the worker lives.

Outside a pool (no `WORKERPOOL_NAME`) these classes are RQ's own. In one they bear what makes RQ's own ones give up: a
broker that is lost for a while, and SIGTERM while a job is being handed over.
"""

import multiprocessing
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

import redis
from rq import worker as originals
from rq.exceptions import StopRequested
from rq.job import JobStatus
from rq.logutils import setup_loghandlers
from rq.timeouts import JobTimeoutException

from workerpool.adapters.bridge import BEAT_SECONDS, Bridge
from workerpool.adapters.intake import FetchGate
from workerpool.adapters.ledger import Outcome
from workerpool.adapters.refusal import contract_or_refuse, refuse, require_version
from workerpool.errors import ConfigurationError
from workerpool.telemetry.logs import TextLog
from workerpool.telemetry.metrics import FailureReason

_LOST: Final = (redis.ConnectionError, redis.TimeoutError)
_PIPE: Final = "WORKERPOOL_RQ_PIPE"
"""For the horse: the descriptor by which it tells the worker."""
_OUTCOMES: Final = {b"d": Outcome.DONE, b"r": Outcome.RETRIED, b"x": Outcome.DEAD_LETTERED, b"h": Outcome.HANDED_BACK}
_REASONS: Final = {b"e": FailureReason.ERROR, b"t": FailureReason.TIMEOUT, b"c": FailureReason.CRASHED}
_GRACE_SECONDS: Final = 60.0
"""Beyond a job's timeout, after which RQ itself gives up on a horse."""


class _Adapted(originals.BaseWorker):
    """What the three kinds have in common. With a bridge only in the worker's own process, never in a horse."""

    health_port = 8080
    """Where `/healthz` and `/ready` are; 0 chooses a free one."""
    metrics_port = 8000
    """Where `/metrics` is."""
    lane = "cpu"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._contract = contract_or_refuse(None)
        self._bridge: Bridge | None = None
        self._gate = FetchGate()
        self._ready = self._away = self._in_hand = self._begun = False
        self._running = ""
        self._reason = b"e"
        self._hurried = False
        super().__init__(*args, **kwargs)
        if self._contract is not None:
            self.max_connection_wait_time = 2.0  # seconds; by default a minute, of which a drain would know nothing

    # The life of the worker, in its main thread

    def work(self, *args: Any, **kwargs: Any) -> bool:
        """RQ's loop, from its begin to the end of the drain."""
        if self._contract is None:
            return bool(super().work(*args, **kwargs))
        require_version("RQ", "rq", least=(3, 0), why="is not what this adapter was tested with")
        if multiprocessing.parent_process() is not None:  # it would start those anew that are refused, for ever
            refuse("`rq worker-pool` starts several workers, and each has a pod to itself: start `rq worker`")
        try:
            bridge = Bridge(
                self, self._contract, lane=self.lane, health_port=self.health_port, metrics_port=self.metrics_port
            )
        except ConfigurationError as error:
            refuse(str(error))
        self._heard, told = os.pipe()
        os.set_blocking(self._heard, False)
        os.set_inheritable(told, True)  # noqa: FBT003  positional only
        os.environ[_PIPE] = str(told)
        self._bridge, self._pid = bridge, os.getpid()
        bridge.start()
        bridge.away("no connection yet")
        try:
            return bool(super().work(*args, **kwargs))
        finally:
            bridge.finish(interrupted=int(self._hurried) or None)

    def bootstrap(self, *args: Any, **kwargs: Any) -> None:
        """RQ sets up its logging here; what the bridge says goes the same way."""
        super().bootstrap(*args, **kwargs)
        if self._contract is not None:
            setup_loghandlers(self.log.getEffectiveLevel(), name="workerpool")

    @property
    def dequeue_timeout(self) -> int:
        """Seconds; RQ's own would be minutes, and so would be the time until it notices a broker that hangs."""
        return 1 if self._contract is not None else int(super().dequeue_timeout)

    def dequeue_job_and_maintain_ttl(self, timeout: int | None, max_idle_time: int | None = None) -> Any:
        """A job, or None to end: after a drain, or when it was idle for `max_idle_time` seconds."""
        if (bridge := self._told()) is None:
            return super().dequeue_job_and_maintain_ttl(timeout, max_idle_time)
        idle_since = time.monotonic()
        while not self._stop_requested:
            self.check_for_suspension(burst=timeout is None)  # RQ's own looks only after a job
            found = self._dequeue(bridge, timeout)
            if found is not None or timeout is None:
                return found
            if max_idle_time is not None and time.monotonic() - idle_since >= max_idle_time:
                return None
        return None

    def _dequeue(self, bridge: Bridge, timeout: int | None) -> Any:
        if not self._gate.enter("worker"):
            self.heartbeat()
            bridge.beat()
            self._gate.wait(BEAT_SECONDS)
            return None
        self._in_hand = False
        try:
            found = super().dequeue_job_and_maintain_ttl(timeout, None if timeout is None else 1)
            bridge.beat()
            if found is not None:
                bridge.taken(found[0].id)
            return found
        finally:
            self._in_hand = False
            self._gate.leave("worker")

    def reorder_queues(self, reference_queue: Any) -> None:
        """RQ has been given a job, and will return it."""
        self._in_hand = True
        super().reorder_queues(reference_queue)

    def handle_warm_shutdown_request(self) -> None:
        """SIGTERM came; this is its handler."""
        super().handle_warm_shutdown_request()
        if (bridge := self._told()) is not None:
            bridge.drain()

    def _shutdown(self) -> None:
        """The second half of the handler.

        RQ's own raises in the midst of whatever is done, and loses the job that its broker has just handed over. So
        only the loop looks at this, at most a second later.
        """
        if self._told() is None:
            super()._shutdown()
            return
        self._stop_requested = True
        if self.scheduler:
            self.stop_scheduler()

    # A broker that is lost for a while

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        """Says to the broker that this worker lives; the first thing that RQ does before it asks for a job."""
        bridge = self._told()
        if bridge is None or pipeline is not None:
            super().heartbeat(timeout, pipeline)
        elif self._bears(lambda: super(_Adapted, self).heartbeat(timeout)):
            if self._away or not self._ready:
                self._away, self._ready = False, True
                bridge.back()
        elif self._stop_requested and not self._in_hand:
            raise StopRequested  # or RQ would try until the broker is back

    def maintain_heartbeats(self, job: Any, execution: Any) -> None:
        """While the horse works."""
        self._bears(lambda: super(_Adapted, self).maintain_heartbeats(job, execution))

    def set_state(self, state: str, pipeline: Any = None) -> None:
        """For RQ's dashboards."""
        self._bears(lambda: super(_Adapted, self).set_state(state, pipeline))
        if state == originals.WorkerStatus.SUSPENDED and (bridge := self._told()) is not None:
            self._away = True
            bridge.away("workers are suspended, by `rq suspend`")

    def check_for_suspension(self, burst: bool) -> None:  # noqa: FBT001  RQ's signature
        """Before each job."""
        self._bears(lambda: super(_Adapted, self).check_for_suspension(burst))

    def run_maintenance_tasks(self) -> None:
        """Now and then."""
        self._bears(super().run_maintenance_tasks)

    def _bears(self, call: Callable[[], object]) -> bool:
        """Whether the broker answered. RQ's own worker ends when it does not, but for while it asks for a job."""
        try:
            call()
        except _LOST as error:
            self._lost(error)
            return False
        return True

    def _lost(self, error: Exception) -> None:
        if (bridge := self._told()) is None:
            raise error
        self._away = True
        bridge.away(type(error).__name__)
        TextLog().warning("the broker is lost", error=type(error).__name__)

    # One job

    def execute_job(self, job: Any, queue: Any) -> None:
        """In the worker's own process, until the job's horse has ended."""
        if (bridge := self._told()) is None:
            super().execute_job(job, queue)
            return
        self._read()
        self._begun, self._running, self._reason = False, job.id, b"e"
        again = job.started_at is not None  # RQ does not count attempts, but notes when the last one began
        bridge.begins(job.id, _name(job), attempt=1 + again, timeout=_seconds(job.timeout))
        try:
            while not self._executed(job, queue):
                bridge.beat()
                time.sleep(BEAT_SECONDS)
            if self._hurried:
                self._hand_back(job)
        finally:
            self._running = ""
        outcome, reason = self._read()
        bridge.ended(job.id, outcome, reason=reason)

    def _executed(self, job: Any, queue: Any) -> bool:
        """Whether it has; False: the broker was lost before it began, and this worker alone knows of the job."""
        try:
            super().execute_job(job, queue)
        except _LOST as error:
            self._lost(error)
            return self._begun
        return True

    def _hand_back(self, job: Any) -> None:
        """What the end of the drain cut off waits again, as the first, though it has no retries left."""
        if self._bears(job.refresh) and job.get_status(refresh=False) == JobStatus.FAILED:
            self._bears(lambda: job.requeue(at_front=True))
            self._tell(b"h")

    def perform_job(self, *args: Any, **kwargs: Any) -> bool:
        """In the horse; with `SimpleWorker` in the worker's process."""
        self._begun = True
        return bool(super().perform_job(*args, **kwargs))

    def handle_exception(self, job: Any, *exc_info: Any) -> None:
        """The job raised."""
        if exc_info and isinstance(exc_info[0], type) and issubclass(exc_info[0], JobTimeoutException):
            self._reason = b"t"
        super().handle_exception(job, *exc_info)

    def handle_work_horse_killed(self, *args: Any, **kwargs: Any) -> None:
        """It ended without a word."""
        self._reason = b"c"
        super().handle_work_horse_killed(*args, **kwargs)

    def handle_job_success(self, job: Any, *args: Any, **kwargs: Any) -> None:
        """RQ has noted that it is done."""
        super().handle_job_success(job, *args, **kwargs)
        self._tell(b"d")

    def handle_job_failure(self, job: Any, *args: Any, **kwargs: Any) -> None:
        """RQ has noted that it failed, of this job or of one that another worker left."""
        super().handle_job_failure(job, *args, **kwargs)
        if self.is_horse or job.id == self._running:
            self._tell(_fate(job))

    def handle_job_retry(self, job: Any, *args: Any, **kwargs: Any) -> None:
        """The same, of one that asked for another attempt."""
        super().handle_job_retry(job, *args, **kwargs)
        self._tell(_fate(job))

    def _tell(self, outcome: bytes) -> None:
        """The worker, from wherever this is. The last word counts."""
        with suppress(KeyError, OSError):
            os.write(int(os.environ[_PIPE]), outcome + self._reason)

    def _read(self) -> tuple[Outcome, FailureReason]:
        """What was told; a horse that told nothing has lost its broker, or its life."""
        try:
            words = os.read(self._heard, 64)
        except BlockingIOError:
            return Outcome.FAILED, FailureReason.CRASHED
        return _OUTCOMES[words[-2:-1]], _REASONS[words[-1:]]

    def _told(self) -> Bridge | None:
        """The bridge; None in a horse."""
        return self._bridge if self._bridge is not None and os.getpid() == self._pid else None

    # What the bridge asks, in its thread

    def slots(self) -> int:
        """One job at a time."""
        return 1

    def children(self) -> Sequence[int]:
        """The horse."""
        return [self.horse_pid] if self.horse_pid else []

    def pause(self, paused: Callable[[], None]) -> None:
        """RQ is asked for a job only after a look at the gate."""
        self._gate.close(paused)

    def resume(self) -> None:
        """It waits there."""
        self._gate.open()

    def hurry(self) -> None:
        """End the horse; what becomes of its job is `_hand_back`'s."""
        self._hurried = True
        if (horse := self.horse_pid) and horse != os.getpid():
            with suppress(ProcessLookupError):
                own = os.getpgid(horse) == os.getpgrp()  # it has just been forked
                os.kill(horse, signal.SIGKILL) if own else os.killpg(os.getpgid(horse), signal.SIGKILL)


class _WithHorse(_Adapted):
    """Waits for its horse in steps, each of which shows that the worker lives."""

    def fork_work_horse(self, job: Any, queue: Any) -> None:
        """An attempt begins, whatever comes of it."""
        self._begun = True
        super().fork_work_horse(job, queue)

    def wait_for_horse(self) -> Any:
        """RQ interrupts this by an alarm every 30 s. What `wait4` says of the horse: pid, status, usage."""
        bridge, horse = self._told(), self.horse_pid
        if bridge is None:
            return super().wait_for_horse()
        ended = os.pidfd_open(horse)
        try:
            while True:
                bridge.beat()
                if select.select([ended], [], [], BEAT_SECONDS)[0]:
                    return super().wait_for_horse()
        finally:
            os.close(ended)


class Worker(_WithHorse, originals.Worker):
    """RQ's `Worker`: a horse is forked for each job."""


class SpawnWorker(_WithHorse, originals.SpawnWorker):
    """RQ's `SpawnWorker`: a horse is started anew for each job."""


class SimpleWorker(_Adapted, originals.SimpleWorker):
    """RQ's `SimpleWorker`, without a horse: a job that hangs is noticed a minute after its timeout, if it has one."""

    lane = "thread"

    def perform_job(self, job: Any, *args: Any, **kwargs: Any) -> bool:
        """Its loop stands still meanwhile: the job's own time limit is what it is judged by."""
        bridge, over = self._told(), threading.Event()
        if bridge is None:
            return bool(super().perform_job(job, *args, **kwargs))
        threading.Thread(target=_beat, args=(bridge, over, _seconds(job.timeout)), daemon=True).start()
        try:
            return bool(super().perform_job(job, *args, **kwargs))
        finally:
            over.set()

    def hurry(self) -> None:
        """Nothing: there is no horse to end. kubelet ends the worker, and RQ finds that its job was abandoned."""


def _beat(bridge: Bridge, over: threading.Event, limit: float | None) -> None:
    until = None if limit is None else time.monotonic() + limit + _GRACE_SECONDS
    while not over.wait(BEAT_SECONDS) and (until is None or time.monotonic() < until):
        bridge.beat()


def _fate(job: Any) -> bytes:
    """Of a job that failed: RQ has put it back, now or for later, or keeps it among the failed ones."""
    return b"x" if job.get_status(refresh=False) in (JobStatus.FAILED, JobStatus.STOPPED) else b"r"


def _name(job: Any) -> str:
    """Of its function."""
    try:
        return str(job.func_name)
    except Exception:  # noqa: BLE001  it cannot be read; the horse will say why
        return "unreadable"


def _seconds(timeout: Any) -> float | None:
    """RQ writes -1, or nothing, where there is none."""
    return float(timeout) if timeout and timeout > 0 else None
