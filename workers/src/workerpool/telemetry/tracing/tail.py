"""Which spans are sent: those that were sampled when they began, and all of a job that failed or was slow.

The first are sampled as usual, by OTEL_TRACES_SAMPLER: with its parent, or by a ratio. How a job ends is known at its
end only, so the spans of a job that is not sampled are made all the same and held until then. What is held is bounded:
for each job, and for all together. What a job's background tasks do after its end is nobody's, and not held.
"""

import threading
from collections.abc import Sequence
from typing import Any, Final

from opentelemetry import context as contexts
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import SpanContext, TraceFlags

FATE: Final = contexts.create_key("workerpool-fate")
"""Where a job's `Fate` is in the context of all that belongs to it."""
SCOPE: Final = "workerpool"
"""Name of the instrumentation scope of this package's own spans."""
MOST_OF_A_JOB: Final = 128
"""Spans of one job that are held."""
MOST: Final = 4096
"""Spans that are held together: about 10 MB."""


class Fate:
    """The spans of a job that is not sampled, until it is known how it ends."""

    def __init__(self) -> None:
        self.held: list[ReadableSpan] = []
        self.open: set[int] = set()
        self.closed = False


class RecordJobs(Sampler):
    """Another sampler, but for spans of jobs: what it would drop of these is made, and marked as not sampled."""

    def __init__(self, inner: Sampler) -> None:
        self._inner = inner

    def should_sample(self, parent_context: Context | None, *args: Any, **named: Any) -> SamplingResult:
        """See `Sampler`."""
        result = self._inner.should_sample(parent_context, *args, **named)
        if result.decision is not Decision.DROP or contexts.get_value(FATE, parent_context) is None:
            return result
        attributes = named.get("attributes") or (args[3] if len(args) > 3 else None)  # noqa: PLR2004  its place
        return SamplingResult(Decision.RECORD_ONLY, attributes, result.trace_state)

    def get_description(self) -> str:
        """See `Sampler`."""
        return f"RecordJobs({self._inner.get_description()})"


class Tail(SpanProcessor):
    """Passes on what is to be sent. Handlers' spans begin and end in any thread."""

    def __init__(self, onward: SpanProcessor) -> None:
        self._onward = onward
        self._open: dict[int, Fate] = {}
        self._held = 0
        # Of the same thread, too: a span may end while garbage is collected in here.
        self._lock = threading.RLock()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Remember whose it is."""
        fate = contexts.get_value(FATE, parent_context)
        if not isinstance(fate, Fate) or _sampled(span):
            return
        with self._lock:
            if not fate.closed and (_ours(span) or len(self._open) < MOST):
                fate.open.add(_id(span))
                self._open[_id(span)] = fate

    def on_end(self, span: ReadableSpan) -> None:
        """Send, hold or drop it."""
        if _sampled(span):
            self._onward.on_end(span)
            return
        with self._lock:
            fate = self._open.pop(_id(span), None)
            if fate is not None:
                fate.open.discard(_id(span))
                self._hold(fate, span)

    def adopt(self, fate: Fate, spans: Sequence[ReadableSpan]) -> None:
        """Spans that ended elsewhere."""
        for span in spans:
            if _sampled(span):
                self._onward.on_end(span)
                continue
            with self._lock:
                self._hold(fate, span)

    def close(self, fate: Fate, *, keep: bool) -> None:
        """The job has ended: send what is held of it, or drop it. What ends later is dropped."""
        with self._lock:
            fate.closed = True
            begun, fate.open = fate.open, set()
            for number in begun:
                self._open.pop(number, None)
            held, fate.held = fate.held, []
            self._held -= len(held)
        if keep:
            for span in held:
                self._onward.on_end(_as_sampled(span))

    def _hold(self, fate: Fate, span: ReadableSpan) -> None:
        if not fate.closed and (_ours(span) or (len(fate.held) < MOST_OF_A_JOB and self._held < MOST)):
            fate.held.append(span)
            self._held += 1

    def shutdown(self) -> None:
        """See `SpanProcessor`."""
        self._onward.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """See `SpanProcessor`."""
        return self._onward.force_flush(timeout_millis)


def _id(span: ReadableSpan) -> int:
    context = span.get_span_context()
    return context.span_id if context is not None else 0


def _ours(span: ReadableSpan) -> bool:
    """These are few, and without them the others say nothing."""
    return span.instrumentation_scope is not None and span.instrumentation_scope.name == SCOPE


def _sampled(span: ReadableSpan) -> bool:
    context = span.get_span_context()
    return context is not None and context.trace_flags.sampled


def _as_sampled(span: ReadableSpan) -> ReadableSpan:
    """The same with the flag without which no exporter takes it."""
    was = span.get_span_context()
    assert was is not None, "it was started"
    flags = TraceFlags(was.trace_flags | TraceFlags.SAMPLED)
    return ReadableSpan(
        name=span.name,
        context=SpanContext(was.trace_id, was.span_id, was.is_remote, flags, was.trace_state),
        parent=span.parent,
        resource=span.resource,
        attributes=span.attributes,
        events=span.events,
        links=span.links,
        kind=span.kind,
        status=span.status,
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )
