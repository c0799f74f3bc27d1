"""Which spans are sent."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from opentelemetry import context as contexts
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, Sampler
from opentelemetry.trace import SpanContext, SpanKind, StatusCode, TraceFlags

from workerpool.broker import NewJob, Taken, TraceContext
from workerpool.runtime.lanes import frames
from workerpool.telemetry.tracing import JobTrace, handover, tail
from workerpool.telemetry.tracing.spans import Spans, without_secrets
from workerpool.telemetry.tracing.tail import SCOPE, RecordJobs, Tail

SAMPLED = TraceContext("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "congo=t61")
UNSAMPLED = TraceContext("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")


@dataclass
class Stage:
    """A provider whose exporter is a list."""

    sampler: Sampler
    sent: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)

    def __post_init__(self) -> None:
        self.provider = TracerProvider(RecordJobs(self.sampler), shutdown_on_exit=False)
        self.tail = Tail(SimpleSpanProcessor(self.sent))
        self.provider.add_span_processor(self.tail)
        self.user = self.provider.get_tracer("the user's")
        self.spans = Spans(
            self.provider.get_tracer(SCOPE),
            system="redis",
            destination="jobs",
            tail=self.tail,
            resource=self.provider.resource,
        )

    @property
    def names(self) -> list[str]:
        return [span.name for span in self.sent.get_finished_spans()]

    def one(self, name: str) -> ReadableSpan:
        [span] = [span for span in self.sent.get_finished_spans() if span.name == name]
        return span

    @contextmanager
    def job(self, trace: TraceContext | None = None, *, attempt: int = 1) -> Iterator[JobTrace]:
        """An attempt at work."""
        taken = Taken("1-0", "job-1", "resize", b'{"secret": 1}', attempt, 2.0, tenant="acme", trace=trace)
        attempted = self.spans.attempt(taken)
        before = contexts.get_current()
        attempted.begin()
        try:
            yield attempted
        finally:
            contexts.attach(before)


@pytest.fixture
def off() -> Stage:
    return Stage(ParentBased(ALWAYS_OFF))


@pytest.fixture
def on() -> Stage:
    return Stage(ParentBased(ALWAYS_ON))


def end(attempt: JobTrace, operation: str = "ack", *, ours: bool = True) -> None:
    attempt.ended(operation)
    attempt.settled(ours=ours)


def test_a_job_that_is_not_sampled_and_goes_well_sends_nothing_and_holds_nothing(off: Stage) -> None:
    with off.job() as attempt, off.user.start_as_current_span("query"):
        pass
    end(attempt)
    assert off.names == []
    assert (off.tail._held, off.tail._open) == (0, {})


@pytest.mark.parametrize("trace", [None, UNSAMPLED])
def test_all_spans_of_a_job_that_failed_are_sent(off: Stage, trace: TraceContext | None) -> None:
    with off.job(trace) as attempt:
        with off.user.start_as_current_span("query"):
            pass
        attempt.failed("error", "ValueError: no", "Traceback ...")
    end(attempt, "retry")
    assert off.names == ["query", "process jobs", "wait jobs", "retry jobs"]
    assert all(span.context.trace_flags.sampled for span in off.sent.get_finished_spans())
    if trace is not None:
        assert {f"{span.context.trace_id:032x}" for span in off.sent.get_finished_spans()} == {trace.traceparent[3:35]}


def test_all_spans_of_a_job_that_was_slow_are_sent(off: Stage) -> None:
    with off.job() as attempt:
        attempt.slow()
    end(attempt)
    assert off.names == ["process jobs", "wait jobs", "ack jobs"]
    assert off.one("process jobs").status.status_code is StatusCode.UNSET


def test_the_attempt_after_a_failed_one_is_sent_too(off: Stage) -> None:
    with off.job(attempt=2) as attempt:
        pass
    end(attempt)
    assert len(off.names) == 3


@pytest.mark.parametrize("operation", ["", "ack"])
def test_a_job_whose_lease_was_lost_has_failed(off: Stage, operation: str) -> None:
    with off.job() as attempt:
        pass
    end(attempt, operation, ours=False)
    assert "process jobs" in off.names


def test_the_ratio_follows_the_producer(on: Stage, off: Stage) -> None:
    with on.job(UNSAMPLED) as attempt:
        pass
    end(attempt)
    with off.job(SAMPLED) as attempt:
        pass
    end(attempt)
    assert (len(on.names), len(off.names)) == (0, 3)


def test_what_a_job_holds_is_bounded_but_for_its_own_three(off: Stage) -> None:
    with off.job() as attempt:
        for _ in range(1000):
            off.user.start_span("query").end()
        assert off.tail._held == tail.MOST_OF_A_JOB
        attempt.failed("error", "E", "")
    end(attempt)
    assert (len(off.names), off.names[-1]) == (tail.MOST_OF_A_JOB + 3, "ack jobs")


def test_what_all_jobs_hold_is_bounded(off: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "MOST", 10)
    attempts = []
    for _ in range(20):
        with off.job() as attempt:
            off.user.start_span("query").end()
            attempts.append(attempt)
    assert sum(name == "wait jobs" for name in off.names) == 0
    for attempt in attempts:
        attempt.failed("error", "E", "")
        end(attempt)
    assert off.names.count("process jobs") == 20
    assert off.names.count("query") < 10
    assert (off.tail._held, off.tail._open) == (0, {})


def test_what_ends_after_its_job_leaves_nothing_behind(off: Stage) -> None:
    with off.job() as attempt:
        late = off.user.start_span("background")
    end(attempt)
    late.end()
    assert (off.names, off.tail._open, off.tail._held) == ([], {}, 0)


def test_a_span_that_belongs_to_no_job_is_sampled_as_usual(off: Stage, on: Stage) -> None:
    for stage in (off, on):
        stage.user.start_span("elsewhere").end()
    assert (off.names, on.names) == ([], ["elsewhere"])


def test_the_attempt_is_a_child_of_what_put_the_job_and_linked_with_it(on: Stage) -> None:
    with on.job(SAMPLED) as attempt, on.user.start_as_current_span("query"):
        pass
    end(attempt)
    process, wait, settle, query = (on.one(name) for name in ("process jobs", "wait jobs", "ack jobs", "query"))
    assert process.parent is not None
    assert f"{process.parent.span_id:016x}" == SAMPLED.traceparent[36:52]
    assert [link.context.span_id for link in process.links] == [process.parent.span_id]
    assert process.context.trace_state.to_header() == "congo=t61"
    assert wait.parent == process.parent
    assert {span.parent and span.parent.span_id for span in (settle, query)} == {process.context.span_id}
    assert (process.kind, settle.kind) == (SpanKind.CONSUMER, SpanKind.CLIENT)
    assert wait.end_time - wait.start_time == 2_000_000_000  # type: ignore[operator]
    assert dict(process.attributes or {}) == {
        "messaging.system": "redis",
        "messaging.destination.name": "jobs",
        "messaging.operation.type": "process",
        "messaging.operation.name": "process",
        "messaging.message.id": "job-1",
        "workerpool.job.type": "resize",
        "workerpool.job.tenant": "acme",
        "workerpool.job.attempt": 1,
        "workerpool.job.outcome": "ack",
    }


def test_an_error_is_an_event_without_passwords(on: Stage) -> None:
    with on.job() as attempt:
        attempt.failed("error", "OSError: redis://me:hunter2@db/0, token=abc", "Traceback\npassword='hunter2'\nOSError")
    end(attempt, "dead_letter")
    process = on.one("process jobs")
    [event] = process.events
    assert event.name == "exception"
    assert event.attributes == {
        "exception.type": "OSError",
        "exception.message": "redis://***@db/0, token=***",
        "exception.stacktrace": "Traceback\npassword=***\nOSError",
    }
    assert (process.attributes or {})["error.type"] == "error"
    assert process.status.status_code is StatusCode.ERROR
    assert "hunter2" not in process.to_json()
    assert "secret" not in process.to_json(), "that is the payload"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("https://user:pw@host/path?x=1", "https://***@host/path?x=1"),
        ("https://host/a@b", "https://host/a@b"),
        ('{"api_key": "abc", "n": 1}', '{"api_key": ***, "n": 1}'),
        ("Authorization: Bearer abc.def next", "Authorization: *** next"),
        ("nothing to hide", "nothing to hide"),
    ],
)
def test_what_looks_like_a_password_is_not_said(text: str, said: str) -> None:
    assert without_secrets(text) == said


@pytest.mark.parametrize(
    "parent",
    ["", "garbage", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "ff-" + "a" * 32 + "-" + "b" * 16 + "-01", "é" * 999],
)
@pytest.mark.parametrize("state", ["", "=", "a=b,,,=;", "ü=1," * 500])
def test_a_strangers_context_does_no_harm(on: Stage, parent: str, state: str) -> None:
    with on.job(TraceContext(parent, state)) as attempt:
        pass
    end(attempt)
    assert on.one("process jobs").parent is None
    assert on.one("process jobs").links == ()


def test_a_handler_that_is_given_up_ends_its_attempt_once(on: Stage) -> None:
    with on.job() as attempt:
        attempt.failed("timeout", "late", "")
        end(attempt, "retry")
        attempt.failed("error", "ValueError: much later", "Traceback")
        attempt.ended("ack")
    assert on.names == ["process jobs", "wait jobs", "retry jobs"]


def test_a_job_that_never_began_has_no_spans(on: Stage) -> None:
    attempt = on.spans.attempt(Taken("1-0", "a", "t", b"", 1, 0.0))
    end(attempt, "hand_back")
    assert on.names == []


def put(stage: Stage, jobs: Sequence[NewJob]) -> list[NewJob]:
    with stage.spans.sending(jobs) as sent:
        return sent


def test_one_job_is_caused_by_its_send_span(on: Stage) -> None:
    with on.user.start_as_current_span("request") as request:
        [job] = put(on, [NewJob(type="resize", payload=b"0", job_id="a")])
    span = on.one("send jobs")
    assert job.trace is not None
    parent, flags = job.trace.traceparent[:52], int(job.trace.traceparent[53:], 16)
    assert parent == f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}"
    assert flags & TraceFlags.SAMPLED
    assert span.parent == request.get_span_context()
    assert (span.kind, (span.attributes or {})["messaging.operation.type"]) == (SpanKind.PRODUCER, "send")


def test_each_of_several_jobs_has_a_trace_of_its_own_and_send_is_linked_with_all(on: Stage) -> None:
    jobs = put(on, [NewJob(type="resize", payload=b"0", job_id=str(number)) for number in range(3)])
    created = [span for span in on.sent.get_finished_spans() if span.name == "create jobs"]
    send = on.one("send jobs")
    causes = [job.trace.traceparent[36:52] for job in jobs if job.trace]
    assert causes == [f"{span.context.span_id:016x}" for span in created]
    assert len({span.context.trace_id for span in (*created, send)}) == 4
    assert [link.context.span_id for link in send.links] == [span.context.span_id for span in created]
    assert (send.kind, created[0].kind) == (SpanKind.CLIENT, SpanKind.PRODUCER)
    assert (send.attributes or {})["messaging.batch.message_count"] == 3


def test_a_producer_that_is_not_sampled_says_so_in_the_job(off: Stage) -> None:
    [job] = put(off, [NewJob(type="resize", payload=b"0")])
    assert job.trace is not None
    assert not int(job.trace.traceparent[53:], 16) & TraceFlags.SAMPLED
    assert off.names == []


def test_a_put_that_fails_is_an_error(on: Stage) -> None:
    with pytest.raises(OSError, match="away"), on.spans.sending([NewJob(type="t", payload=b"0")]):
        raise OSError("redis://me:pw@db is away")
    span = on.one("send jobs")
    assert (span.attributes or {})["error.type"] == "OSError"
    assert span.status.description == "redis://***@db is away"


def test_a_span_comes_whole_out_of_another_process(on: Stage) -> None:
    with on.job(SAMPLED):
        with on.user.start_as_current_span("query", attributes={"a": (1, 2)}, kind=SpanKind.CLIENT) as span:
            span.add_event("found", {"rows": 3})
        before = on.one("query")
    frame = frames.encode(handover.plain(before))[frames.HEADER.size :]
    after = handover.span_of(frames.decode(frame), Resource({"service.name": "worker"}))
    assert after.instrumentation_scope == before.instrumentation_scope
    assert after.resource.attributes == {"service.name": "worker"}
    theirs, ours = (json.loads(one.to_json()) for one in (before, after))
    assert {**ours, "resource": None} == {**theirs, "resource": None}


def test_spans_of_another_process_share_their_jobs_fate(off: Stage) -> None:
    parent = SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(0))
    for failed in (False, True):
        with off.job() as attempt:
            ended = ReadableSpan("in the child", context=parent, parent=None, resource=Resource.get_empty())
            attempt.adopt([handover.plain(ended)])
            if failed:
                attempt.failed("error", "E", "")
        end(attempt)
        assert ("in the child" in off.names) is failed
