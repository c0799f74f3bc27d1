"""Spans of the cpu lane's processes: a process hands those of a job to the worker when the handler ends.

The worker sends them, and not the process itself, because only the worker learns how the job ends, and so whether they
are sent at all. Those of a process that is killed are lost with it; the attempt's own span is the worker's.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from workerpool.telemetry.tracing.contained import contained
from workerpool.telemetry.tracing.tail import FATE, MOST_OF_A_JOB, Fate, RecordJobs

_W3C: Final = TraceContextTextMapPropagator()


class Collected(SpanProcessor):
    """The spans of the job that runs."""

    def __init__(self) -> None:
        self.spans: list[tuple[Any, ...]] = []

    @contained
    def on_end(self, span: ReadableSpan) -> None:
        """Keep it; a process runs one job at a time."""
        if len(self.spans) < MOST_OF_A_JOB:
            self.spans.append(plain(span))


@contextmanager
def within(headers: Mapping[str, str], hand_over: Callable[[list[tuple[Any, ...]]], object]) -> Iterator[None]:
    """In the process: what is traced inside is part of the attempt with these headers."""
    collected = _begin(headers)
    try:
        yield
    finally:
        if collected is not None and collected.spans:
            _hand_over(collected, hand_over)


@contained
def _hand_over(collected: Collected, how: Callable[[list[tuple[Any, ...]]], object]) -> None:
    how(collected.spans)


@contained
def _begin(headers: Mapping[str, str]) -> Collected | None:
    collected = _collected()
    if collected is not None:
        collected.spans = []
    fate: object = Fate()  # only that it is there counts here
    contexts.attach(contexts.set_value(FATE, fate, _W3C.extract(headers)))
    return collected


@cache
def _collected() -> Collected | None:
    """None: the program has a provider of its own here, too, which sends by itself."""
    if not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return None
    provider = TracerProvider(RecordJobs(ParentBased(ALWAYS_OFF)), shutdown_on_exit=False)
    collected = Collected()
    provider.add_span_processor(collected)
    trace.set_tracer_provider(provider)
    return collected


def plain(span: ReadableSpan) -> tuple[Any, ...]:
    """What of a span can be pickled: all but its resource, which is the worker's."""
    scope = span.instrumentation_scope
    return (
        span.name,
        span.get_span_context(),
        span.parent,
        dict(span.attributes or {}),
        [(event.name, dict(event.attributes or {}), event.timestamp) for event in span.events],
        [(link.context, dict(link.attributes or {})) for link in span.links],
        span.kind,
        (span.status.status_code, span.status.description),
        span.start_time,
        span.end_time,
        scope and (scope.name, scope.version, scope.schema_url),
    )


def span_of(fields: tuple[Any, ...], resource: Resource) -> ReadableSpan:
    """The span again, in the worker."""
    name, context, parent, attributes, events, links, kind, status, start, end, scope = fields
    return ReadableSpan(
        name=name,
        context=context,
        parent=parent,
        resource=resource,
        attributes=attributes,
        events=[Event(*event) for event in events],
        links=[Link(*link) for link in links],
        kind=kind,
        status=trace.Status(*status),
        start_time=start,
        end_time=end,
        instrumentation_scope=scope and InstrumentationScope(*scope),
    )
