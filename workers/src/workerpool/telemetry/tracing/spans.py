"""The spans of jobs, by OpenTelemetry's conventions for messaging: what their names, kinds and attributes are.

https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/. A `process` span is the child of the span that
put its job, and linked with it: so a job is one trace, whoever looks at parents only or at links only. Nothing of a
payload is in a span, and what looks like a password in the text of an error is not either.
"""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

from opentelemetry import context as contexts
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode, Tracer, get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from workerpool.broker import NewJob, Priority, Taken, TraceContext
from workerpool.telemetry.tracing import JobTrace, handover, set_current
from workerpool.telemetry.tracing.contained import contained
from workerpool.telemetry.tracing.tail import FATE, Fate, Tail

_W3C: Final = TraceContextTextMapPropagator()
_LONGEST: Final = 128
"""Of what somebody chose: ids, tenants, types."""
_LONGEST_TEXT: Final = 1_000
_LONGEST_TRACEBACK: Final = 8_000
_SECRETS: Final = (
    re.compile(r"(?<=://)[^/\s@]+(?=@)"),
    re.compile(
        r"(?i)((?:password|passwd|secret|token|api[_-]?key|authorization)[\"']?\s*[=:]\s*)(?:bearer\s+|basic\s+)?[^\s,;&]+"
    ),
)


class Attempt:
    """See `JobTrace`. Nothing here raises."""

    def __init__(self, queue: "Spans", job: Taken) -> None:
        self._queue = queue
        self._job = job
        self._taken_at = time.time_ns()
        self._fate = Fate()
        self._came = self._context = Context()
        self._span: Span | None = None
        self._settlement = ("", 0)  # what the broker is told, and since when
        self._failed = job.attempt > 1  # what failed before is looked at whole
        self._over = False

    @contained
    def begin(self) -> None:
        """The attempt's span is the current one."""
        job, queue = self._job, self._queue
        came = contexts.set_value(FATE, self._fate)
        if job.trace is not None:
            came = _W3C.extract(_headers(job.trace), came)
        cause = get_current_span(came).get_span_context() if job.trace is not None else None
        self._span = queue.tracer.start_span(
            f"process {queue.destination}",
            came,
            kind=SpanKind.CONSUMER,
            attributes={**queue.about(job), **_operation("process", "process"), "workerpool.job.attempt": job.attempt},
            links=[Link(cause)] if cause is not None and cause.is_valid else (),
        )
        self._came, self._context = came, set_span_in_context(self._span, came)
        contexts.attach(self._context)  # to the task, which ends with the job
        set_current(self)

    @contained
    def batched(self, first: JobTrace, jobs: int) -> None:
        """With a link to the span under which the handler's own spans are."""
        if self._span is None:
            return
        self._span.set_attribute("workerpool.batch.jobs", jobs)
        if first is not self and isinstance(first, Attempt) and first._span is not None:  # noqa: SLF001  its own kind
            self._span.add_link(first._span.get_span_context())  # noqa: SLF001

    @contained
    def failed(self, reason: str, text: str, trace: str) -> None:
        """With the exception as an event, if there was one."""
        if self._span is None or self._over:
            return
        self._failed = True
        text = without_secrets(text)[:_LONGEST_TEXT]
        self._span.set_attribute("error.type", reason)
        self._span.set_status(Status(StatusCode.ERROR, text))
        if trace:
            kind, _, message = text.partition(": ")
            said = {"exception.type": kind, "exception.message": message}
            said["exception.stacktrace"] = without_secrets(trace)[-_LONGEST_TRACEBACK:]
            self._span.add_event("exception", said)

    @contained
    def ended(self, operation: str) -> None:
        """The attempt's span ends, the settlement begins."""
        if self._span is None or self._over:
            return
        self._over = True
        self._settlement = (operation, time.time_ns())
        self._span.set_attribute("workerpool.job.outcome", operation or "lost")
        self._span.end()

    @contained
    def settled(self, *, ours: bool) -> None:
        """All of this attempt is known: its other spans are made now, if they are to be sent. Most jobs save that."""
        self._failed |= not ours
        try:
            if self._span is not None and (self._failed or self._span.get_span_context().trace_flags.sampled):
                self._make_wait()
                if self._settlement[0]:
                    self._make_settlement(ours=ours)
        finally:  # what is held would be for ever
            self._queue.close(self._fate, keep=self._failed)

    def _make_wait(self) -> None:
        queue, due = self._queue, self._taken_at - int(self._job.waited * 1e9)
        about = queue.about(self._job)
        queue.tracer.start_span(f"wait {queue.destination}", self._came, attributes=about, start_time=due).end(
            self._taken_at
        )

    def _make_settlement(self, *, ours: bool) -> None:
        queue, (operation, began) = self._queue, self._settlement
        settle = queue.tracer.start_span(
            f"{operation} {queue.destination}",
            self._context,
            kind=SpanKind.CLIENT,
            attributes={**queue.about(self._job), **_operation("settle", operation)},
            start_time=began,
        )
        if not ours:
            settle.set_attribute("error.type", "lease_lost")
            settle.set_status(Status(StatusCode.ERROR, "the job was not this worker's any more"))
        settle.end()

    def slow(self) -> None:
        """It took longer than is good: send its spans in any case."""
        self._failed = True

    def carrier(self) -> dict[str, str]:
        """See `JobTrace`."""
        return _written(self._context) or {}

    @contained
    def adopt(self, spans: Sequence[Any]) -> None:
        """See `JobTrace`."""
        self._queue.adopt(self._fate, spans)


class Spans:
    """See `QueueTraces`."""

    def __init__(self, tracer: Tracer, *, system: str, destination: str, tail: Tail | None, resource: Resource) -> None:
        """`tail`: None where the program's own provider decides what is sent."""
        self.tracer = tracer
        self.destination = destination
        self._of_all = {"messaging.system": system, "messaging.destination.name": destination}
        self._tail = tail
        self._resource = resource

    def attempt(self, job: Taken) -> JobTrace:
        """See `QueueTraces`."""
        return Attempt(self, job)

    def about(self, job: Taken | NewJob) -> dict[str, str | int]:
        """What all spans of a job say of it."""
        said: dict[str, str | int] = {**self._of_all, "workerpool.job.type": job.type[:_LONGEST]}
        if job.job_id:
            said["messaging.message.id"] = job.job_id[:_LONGEST]
        if job.tenant:
            said["workerpool.job.tenant"] = job.tenant[:_LONGEST]
        if job.priority != Priority.NORMAL:
            said["workerpool.job.priority"] = str(job.priority)[:_LONGEST]
        return said

    @contextmanager
    def sending(self, jobs: Sequence[NewJob]) -> Iterator[list[NewJob]]:
        """One job is caused by its `send` span. Of several each has a `create` span, and `send` is linked with all."""
        span, sent = self._begin_sending(jobs) or (None, list(jobs))
        try:
            yield sent
        except BaseException as error:
            _say_error(span, error)
            raise
        finally:
            _end(span)

    @contained
    def _begin_sending(self, jobs: Sequence[NewJob]) -> tuple[Span, list[NewJob]]:
        name, how = f"send {self.destination}", _operation("send", "send")
        if len(jobs) == 1:
            span = self.tracer.start_span(name, kind=SpanKind.PRODUCER, attributes={**self.about(jobs[0]), **how})
            sent = [_caused_by(span, jobs[0])]
        else:
            created = [self._created(job) for job in jobs]
            sent = [_caused_by(one, job) for one, job in zip(created, jobs, strict=True)]
            span = self.tracer.start_span(
                name,
                kind=SpanKind.CLIENT,
                attributes={**self._of_all, **how, "messaging.batch.message_count": len(jobs)},
                links=[Link(one.get_span_context()) for one in created],
            )
        return span, sent

    def _created(self, job: NewJob) -> Span:
        about = {**self.about(job), **_operation("create", "create")}
        span = self.tracer.start_span(f"create {self.destination}", kind=SpanKind.PRODUCER, attributes=about)
        span.end()
        return span

    def adopt(self, fate: Fate, spans: Sequence[Any]) -> None:
        """Spans of another process."""
        if self._tail is not None:
            self._tail.adopt(fate, [handover.span_of(span, self._resource) for span in spans])

    def close(self, fate: Fate, *, keep: bool) -> None:
        """All spans of an attempt are there."""
        if self._tail is not None:
            self._tail.close(fate, keep=keep)


def without_secrets(text: str) -> str:
    """The text without what looks like a password in it."""
    user, named = _SECRETS
    return named.sub(r"\1***", user.sub("***", text))


def _operation(kind: str, name: str) -> dict[str, str]:
    return {"messaging.operation.type": kind, "messaging.operation.name": name}


def _headers(trace: TraceContext) -> Mapping[str, str]:
    return {name: value for name, value in trace._asdict().items() if value}


def _caused_by(span: Span, job: NewJob) -> NewJob:
    headers = _written(set_span_in_context(span))
    return replace(job, trace=TraceContext(**headers)) if headers else job


@contained
def _written(context: Context) -> dict[str, str]:
    headers: dict[str, str] = {}
    _W3C.inject(headers, context)
    return headers


@contained
def _say_error(span: Span | None, error: BaseException) -> None:
    if span is not None:
        span.set_attribute("error.type", type(error).__name__)
        span.set_status(Status(StatusCode.ERROR, without_secrets(str(error))[:_LONGEST_TEXT]))


@contained
def _end(span: Span | None) -> None:
    if span is not None:
        span.end()
