"""A real OTLP receiver over HTTP: what comes is decoded by OpenTelemetry's own messages."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Message


@dataclass(frozen=True)
class Received:
    """A span as it came over the wire."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, Any]
    resource: dict[str, Any]
    events: dict[str, dict[str, Any]]
    links: list[str]
    start: int
    end: int
    failed: bool
    text: str


class Receiver:
    """Collects spans; as a plain HTTP server it also answers GET, and keeps the `traceparent` that came with it.

    Attributes:
        url: What OTEL_EXPORTER_OTLP_ENDPOINT is set to.
        status: What it answers to spans; set another one to refuse them.
        hold: While cleared, it takes spans and does not answer.
    """

    def __init__(self) -> None:
        self._spans: list[Received] = []
        self.raw = b""
        self.asked: list[str] = []
        self.status = 200
        self.tries = 0
        self.hold = threading.Event()
        self.hold.set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.tries += 1
                receiver.hold.wait(60)
                assert self.path == "/v1/traces"
                if receiver.status == 200:
                    receiver.take(body)
                self._answer(receiver.status, ExportTraceServiceResponse().SerializeToString())

            def do_GET(self) -> None:
                receiver.asked.append(self.headers.get("traceparent", ""))
                self._answer(200, b"hello")

            def _answer(self, status: int, body: bytes) -> None:
                try:
                    self.send_response(status)
                    self.send_header("Content-Type", "application/x-protobuf")
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:  # whoever asked has left
                    self.close_connection = True

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def take(self, body: bytes) -> None:
        """Decode one request."""
        self.raw += body
        request = ExportTraceServiceRequest.FromString(body)
        for group in request.resource_spans:
            resource = _plain(group.resource.attributes)
            self._spans += [_received(span, resource) for scope in group.scope_spans for span in scope.spans]

    @property
    def spans(self) -> list[Received]:
        """All that came, as they began."""
        return sorted(self._spans, key=lambda span: span.start)

    def named(self, name: str) -> list[Received]:
        """Those of this name."""
        return [span for span in self.spans if span.name == name]

    def serve(self) -> None:
        """Until `close`."""
        self._server.serve_forever(poll_interval=0.02)

    def close(self) -> None:
        """Let go of everything."""
        self.hold.set()
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver that serves."""
    receiver = Receiver()
    thread = threading.Thread(target=receiver.serve, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.close()
        thread.join()


def _received(span: Message, resource: dict[str, Any]) -> Received:
    return Received(
        name=span.name,
        kind=Message.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        attributes=_plain(span.attributes),
        resource=resource,
        events={event.name: _plain(event.attributes) for event in span.events},
        links=[link.span_id.hex() for link in span.links],
        start=span.start_time_unix_nano,
        end=span.end_time_unix_nano,
        failed=span.status.code == 2,
        text=span.status.message,
    )


def _plain(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}
