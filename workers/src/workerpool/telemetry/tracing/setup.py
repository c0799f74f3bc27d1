"""Where spans go: over OTLP to the endpoint that OpenTelemetry's own variables name.

A program that has set a tracer provider before keeps it: then its sampler decides what is sent, and it does that. Spans
wait in a bounded queue (OTEL_BSP_*), from which the oldest are dropped: an endpoint that is slow or away costs no job
anything. What is sent last is waited for at most FLUSH_SECONDS.
"""

import atexit
import contextlib
import os
import threading
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Final

from opentelemetry import trace
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from workerpool._own_thread import in_own_thread
from workerpool.telemetry.tracing import FLUSH_SECONDS, QueueTraces, Tracing
from workerpool.telemetry.tracing.contained import contained
from workerpool.telemetry.tracing.spans import Spans
from workerpool.telemetry.tracing.tail import SCOPE, RecordJobs, Tail

_EXPORTERS: Final = {
    "http/protobuf": "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "grpc": "opentelemetry.exporter.otlp.proto.grpc.trace_exporter",
}
_RESOURCE: Final = {
    "service.name": "WORKERPOOL_NAME",
    "service.namespace": "WORKERPOOL_NAMESPACE",
    "service.version": "WORKERPOOL_VERSION",
    "service.instance.id": "WORKERPOOL_POD",
    "k8s.namespace.name": "WORKERPOOL_NAMESPACE",
    "k8s.pod.name": "WORKERPOOL_POD",
    "k8s.node.name": "WORKERPOOL_NODE",
}
"""Which variable of the worker contract says what of the resource; OTEL_SERVICE_NAME and _RESOURCE_ATTRIBUTES win."""


class OtelTracing:
    """See `Tracing`."""

    def __init__(self, provider: trace.TracerProvider, *, tail: Tail | None, flusher: "Flusher | None") -> None:
        self._tracer = provider.get_tracer(SCOPE)
        self._tail = tail
        self._flusher = flusher
        self._resource = provider.resource if isinstance(provider, TracerProvider) else Resource.get_empty()

    def of(self, system: str, destination: str) -> QueueTraces:
        """See `Tracing`."""
        return Spans(self._tracer, system=system, destination=destination, tail=self._tail, resource=self._resource)

    async def flush(self) -> None:
        """See `Tracing`."""
        if self._flusher is not None:
            with contextlib.suppress(OSError):  # no more threads: it is not waited for
                await in_own_thread(self._flusher.flush, FLUSH_SECONDS)


class Flusher:
    """Sends what waits, in a thread of its own: the sending may take as long as it likes, who waits for it does not."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._asked = threading.Condition()
        self._wanted = self._done = 0
        # Started now: a process that ends cannot start threads any more.
        threading.Thread(target=self._work, name="workerpool-traces", daemon=True).start()

    def flush(self, seconds: float) -> bool:
        """Blocks until all spans that have ended are sent, at most so long; whether they are."""
        with self._asked:
            self._wanted += 1
            mine = self._wanted
            self._asked.notify_all()
            return self._asked.wait_for(lambda: self._done >= mine, seconds)

    def at_exit(self) -> None:
        """The last flush, unless somebody has waited for one in vain before."""
        if self._done == self._wanted:
            self.flush(FLUSH_SECONDS)

    def _work(self) -> None:
        while True:
            with self._asked:
                self._asked.wait_for(lambda: self._wanted > self._done)
                wanted = self._wanted
            self._send()
            with self._asked:
                self._done = wanted
                self._asked.notify_all()

    @contained
    def _send(self) -> None:
        self._provider.force_flush()


class _Exporter(SpanExporter):
    """Loaded when the first spans are to be sent, in the thread that sends them: a start need not wait for it."""

    def __init__(self, module: str) -> None:
        self._module = module
        self._exporter: SpanExporter | None = None

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if self._exporter is None:
            self._exporter = import_module(self._module).OTLPSpanExporter()
        return self._exporter.export(spans)

    def shutdown(self) -> None:
        if self._exporter is not None:
            self._exporter.shutdown()


def tracing() -> Tracing:
    """Set it up, for the whole process.

    Raises:
        ImportError: the exporter for the protocol that is asked for is not installed.
    """
    theirs = trace.get_tracer_provider()
    if not isinstance(theirs, trace.ProxyTracerProvider):
        return OtelTracing(theirs, tail=None, flusher=None)
    module = exporter_module(os.environ)
    sampler = RecordJobs(TracerProvider(shutdown_on_exit=False).sampler)  # the one that the environment names
    provider = TracerProvider(sampler, resource_of(os.environ), shutdown_on_exit=False)
    tail = Tail(BatchSpanProcessor(_Exporter(module)))
    provider.add_span_processor(tail)
    trace.set_tracer_provider(provider)
    flusher = Flusher(provider)
    atexit.register(flusher.at_exit)
    return OtelTracing(provider, tail=tail, flusher=flusher)


def exporter_module(env: Mapping[str, str]) -> str:
    """Of the protocol that is asked for, by default http/protobuf.

    Raises:
        ImportError: it is not installed, or there is no such protocol.
    """
    asked = env.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or env.get("OTEL_EXPORTER_OTLP_PROTOCOL") or "http/protobuf"
    module = _EXPORTERS.get(asked, "")
    try:
        found = module and find_spec(module)
    except ModuleNotFoundError:
        found = None
    if not found:
        raise ImportError(f"no exporter for {asked}", name=module or f"an exporter for {asked}")
    return module


def resource_of(env: Mapping[str, str]) -> Resource:
    """What all spans say of this process."""
    said = OTELResourceDetector().detect().attributes
    own = {attribute: env[name] for attribute, name in _RESOURCE.items() if env.get(name) and attribute not in said}
    return Resource.create(own)
