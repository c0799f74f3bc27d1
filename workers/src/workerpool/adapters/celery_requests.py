"""How Celery's requests tell the bridge what becomes of them.

A request stands for a message in the worker's main process, whatever runs its task. A class of them for each task is
what Celery documents for that ("Custom requests").
"""

from collections.abc import Callable
from typing import Any

from billiard.einfo import ExceptionWithTraceback
from celery.exceptions import Ignore, Reject, Retry, SoftTimeLimitExceeded, TimeLimitExceeded, WorkerLostError
from celery.worker.request import Request
from kombu.utils.imports import symbol_by_name

from workerpool.adapters.bridge import Bridge
from workerpool.adapters.ledger import Outcome
from workerpool.telemetry.metrics import FailureReason

FindBridge = Callable[[], Bridge | None]


def watch(task: Any, *, bridge: FindBridge, time_limit: float | None, begins: Callable[[int, int], None]) -> None:
    """From its next message on.

    `bridge` gives none when the worker has ended; `time_limit`: the worker's own; `begins(pid, key)` is told of each
    attempt.
    """
    kept = {"bridge": staticmethod(bridge), "worker_time_limit": time_limit, "process_begins": staticmethod(begins)}
    task.Request = type("Watched", (_Watched, symbol_by_name(task.Request)), kept)


class _Watched(Request):
    """Tells what becomes of it, after Celery has done its part: what is said to have ended is settled."""

    bridge: FindBridge
    worker_time_limit: float | None
    process_begins: Callable[[int, int], None]
    delivery: int = 0
    """Its number among all messages of this worker, from when it was received: addresses of objects come again."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Celery makes a faster class of it for each task, whose `on_success` does not call this one's."""
        super().__init_subclass__(**kwargs)
        if "on_success" in vars(cls):
            cls.on_success = _telling(vars(cls)["on_success"])

    def on_accepted(self, pid: int, time_accepted: float) -> None:
        """A process or thread begins with it."""
        bridge = self.bridge()
        if bridge is not None:
            attempt = 1 + (self.request_dict.get("retries") or 0) + bool(self.delivery_info.get("redelivered"))
            timeout = self.time_limits[0] or self.task.time_limit or self.worker_time_limit
            self.process_begins(pid, self.delivery)
            bridge.begins(self.delivery, self.name, attempt=attempt, timeout=timeout)
        super().on_accepted(pid, time_accepted)

    def on_failure(self, exc_info: Any, *arguments: Any, **kwargs: Any) -> Any:
        """Also: it is retried, rejected or ignored."""
        try:
            return super().on_failure(exc_info, *arguments, **kwargs)
        finally:
            self._ended(*_meaning(self.task, exc_info.exception))

    def on_timeout(self, soft: bool, timeout: float) -> None:  # noqa: FBT001  Celery's own signature
        """A hard one has killed its process."""
        super().on_timeout(soft, timeout)
        if not soft:
            self._ended(*_meaning(self.task, TimeLimitExceeded(timeout)))

    def reject(self, requeue: bool = False) -> None:  # noqa: FBT001, FBT002  Celery's own signature
        """Before it has begun; else `on_failure` says how it ended."""
        super().reject(requeue)
        if not self.time_start:
            self._ended(Outcome.HANDED_BACK if requeue else Outcome.FAILED, FailureReason.REJECTED)

    def _announce_revoked(self, *arguments: Any, **kwargs: Any) -> None:
        super()._announce_revoked(*arguments, **kwargs)
        self._ended(Outcome.FAILED if self.time_start else Outcome.DISCARDED, FailureReason.REJECTED)

    def _announce_cancelled(self, *arguments: Any, **kwargs: Any) -> None:
        super()._announce_cancelled(*arguments, **kwargs)
        self._ended(Outcome.HANDED_BACK)

    def _ended(self, outcome: Outcome, reason: FailureReason = FailureReason.ERROR) -> None:
        bridge = self.bridge()
        if bridge is not None:
            bridge.ended(self.delivery, outcome, reason=reason)


def _telling(on_success: Callable[..., Any]) -> Callable[..., Any]:
    def told(request: _Watched, result: Any, **kwargs: Any) -> Any:
        answer = on_success(request, result, **kwargs)
        if not result[0]:  # else `on_failure` was called
            request._ended(Outcome.DONE)  # noqa: SLF001  of the class above
        return answer

    return told


def _meaning(task: Any, raised: BaseException) -> tuple[Outcome, FailureReason]:
    """What a failure means: how the job ended, and why the attempt failed."""
    error = raised.exc if isinstance(raised, ExceptionWithTraceback) else raised  # as Celery itself looks at it
    if isinstance(error, Retry):
        return Outcome.RETRIED, FailureReason.ERROR
    if isinstance(error, Ignore):
        return Outcome.DONE, FailureReason.ERROR
    if isinstance(error, Reject):
        return (Outcome.HANDED_BACK if error.requeue else Outcome.FAILED), FailureReason.REJECTED
    if isinstance(error, WorkerLostError | SystemExit):
        again = task.acks_late and task.reject_on_worker_lost
        return (Outcome.RETRIED if again else Outcome.FAILED), FailureReason.CRASHED
    if isinstance(error, TimeLimitExceeded):
        again = task.acks_late and not task.acks_on_timeout
        return (Outcome.RETRIED if again else Outcome.FAILED), FailureReason.TIMEOUT
    return Outcome.FAILED, FailureReason.TIMEOUT if isinstance(error, SoftTimeLimitExceeded) else FailureReason.ERROR
