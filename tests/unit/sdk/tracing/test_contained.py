"""Whatever is wrong with traces, jobs go their way."""

import asyncio
import os
import subprocess
import sys
import threading

import pytest
from opentelemetry import context as contexts
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON

from workerpool import Job, Queue, Worker
from workerpool.broker import NewJob, Taken
from workerpool.runtime.contract import Contract
from workerpool.runtime.drain import Stop
from workerpool.runtime.evidence import Evidence
from workerpool.telemetry.logs import Log
from workerpool.telemetry.metrics import Metrics
from workerpool.telemetry.tracing import handover, setup
from workerpool.telemetry.tracing.spans import Spans
from workerpool.telemetry.tracing.tail import FATE, Fate, RecordJobs, Tail

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}


class Broken(SpanProcessor):
    """The program's own: raises at some spans."""

    def __init__(self, when: str, span: str) -> None:
        self._when, self._span = when, span

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        self._look("start", span)

    def on_end(self, span: ReadableSpan) -> None:
        self._look("end", span)

    def _look(self, when: str, span: ReadableSpan) -> None:
        if when == self._when and span.name.startswith(self._span):
            raise KeyError(f"{when} of {span.name}")


def broken(when: str, span: str) -> TracerProvider:
    provider = TracerProvider(ALWAYS_ON, shutdown_on_exit=False)
    provider.add_span_processor(Broken(when, span))
    return provider


async def served(provider: TracerProvider, *, jobs: int) -> tuple[list[int], Metrics]:
    """Attempts that ran, and the figures of a worker that was drained when it had settled so many jobs."""
    attempts: list[int] = []
    env = {"BACKOFF_SECONDS": "0", "BACKOFF_MAX_SECONDS": "0", "MAX_ATTEMPTS": "2"}
    stop = Stop()
    async with Queue.connect("memory://") as queue:
        worker = Worker(queue, health_port=0, metrics_port=0)

        @worker.job("work", timeout=5)
        async def work(job: Job) -> None:
            attempts.append(job.attempt)
            if len(attempts) == jobs:
                stop.ask()

        contract = Contract.from_env(env, source=queue.source)
        traces = setup.OtelTracing(provider, tail=None, flusher=None)
        engine, metrics = worker.assemble(contract, evidence=Evidence(), log=Log(), watchdog=False, tracing=traces)
        for _ in range(jobs):
            await queue.enqueue("work")
        async with asyncio.timeout(20):
            drained = await engine.run(stop)
        assert (drained.interrupted, drained.unsettled) == (0, 0)
    return attempts, metrics


@pytest.mark.parametrize(
    ("when", "span"), [("start", "process"), ("end", "process"), ("start", "wait"), ("end", "ack")]
)
async def test_a_job_runs_once_and_is_settled_whatever_a_processor_of_spans_raises(when: str, span: str) -> None:
    attempts, metrics = await served(broken(when, span), jobs=3)
    assert attempts == [1, 1, 1]
    assert metrics.totals().processed == 3


@pytest.mark.parametrize("when", ["start", "end"])
@pytest.mark.parametrize(("span", "count"), [("send", 1), ("send", 2), ("create", 2)])
def test_jobs_are_put_whatever_a_processor_of_spans_raises(when: str, span: str, count: int) -> None:
    tracer = broken(when, span).get_tracer("workerpool")
    spans = Spans(tracer, system="redis", destination="jobs", tail=None, resource=Resource.get_empty())
    jobs = [NewJob(type="t", payload=b"0") for _ in range(count)]
    with spans.sending(jobs) as sent:
        assert [job.payload for job in sent] == [b"0"] * count
    with pytest.raises(OSError, match="away"), spans.sending(jobs):
        raise OSError("the broker is away")


def test_a_job_of_which_no_span_could_be_made_leaves_nothing_behind() -> None:
    held = Tail(SpanProcessor())
    provider = TracerProvider(RecordJobs(ALWAYS_OFF), shutdown_on_exit=False)
    provider.add_span_processor(held)
    provider.add_span_processor(Broken("start", "process"))
    tracer = provider.get_tracer("workerpool")
    spans = Spans(tracer, system="redis", destination="jobs", tail=held, resource=provider.resource)
    attempt = spans.attempt(Taken("1-0", "job-1", "t", b"0", 1, 0.0))
    attempt.begin()
    attempt.ended("ack")
    attempt.settled(ours=True)
    assert (held._open, held._held) == ({}, 0)


def test_what_background_tasks_do_after_their_job_takes_no_room_from_others() -> None:
    held = Tail(SpanProcessor())
    provider = TracerProvider(RecordJobs(ALWAYS_OFF), shutdown_on_exit=False)
    provider.add_span_processor(held)
    fate = Fate()
    context = contexts.set_value(FATE, fate)
    user = provider.get_tracer("the user's")
    user.start_span("in its time", context).end()
    assert held._held == 1
    held.close(fate, keep=False)
    for _ in range(10):
        user.start_span("late", context).end()
    late = ReadableSpan("late", context=user.start_span("late", context).get_span_context(), parent=None)
    held.adopt(fate, [late])
    assert (held._open, held._held, fate.held) == ({}, 0, [])


def test_a_job_can_end_while_its_threads_begin_spans() -> None:
    """What a handler has started goes on: the books of what is held are kept by many threads."""
    held = Tail(SpanProcessor())
    provider = TracerProvider(RecordJobs(ALWAYS_OFF), shutdown_on_exit=False)
    provider.add_span_processor(held)
    user = provider.get_tracer("the user's")
    fates, over = [Fate()], threading.Event()

    def handler() -> None:
        while not over.is_set():
            context = contexts.set_value(FATE, fates[0])
            for span in [user.start_span("query", context) for _ in range(20)]:
                span.end()

    threads = [threading.Thread(target=handler) for _ in range(2)]
    often, switching = 1e-5, sys.getswitchinterval()
    sys.setswitchinterval(often)
    try:
        for thread in threads:
            thread.start()
        for _ in range(300):
            fate, fates[0] = fates[0], Fate()
            held.close(fate, keep=False)
    finally:
        over.set()
        for thread in threads:
            thread.join()
        sys.setswitchinterval(switching)
    held.close(fates[0], keep=False)
    assert (held._open, held._held) == ({}, 0)


def test_a_handler_in_a_process_runs_whatever_is_wrong_with_its_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    def fault(*_arguments: object) -> None:
        raise KeyError("no")

    monkeypatch.setattr(handover, "_collected", fault)
    with handover.within({}, fault):
        pass
    collected = handover.Collected()
    collected.spans = [("span",)]
    monkeypatch.setattr(handover, "_collected", lambda: collected)
    monkeypatch.setattr(handover.contexts, "attach", fault)  # type: ignore[attr-defined]
    with handover.within({}, fault):
        collected.spans = [("span",)]
    monkeypatch.setattr(handover, "plain", fault)
    collected.on_end(ReadableSpan("query"))


def test_who_sends_spans_survives_what_an_exporter_raises() -> None:
    calls: list[int] = []

    class Provider(TracerProvider):
        def force_flush(self, timeout_millis: int = 30000) -> bool:
            calls.append(1)
            raise KeyError("no")

    flusher = setup.Flusher(Provider(shutdown_on_exit=False))
    assert flusher.flush(20.0)
    assert flusher.flush(20.0)
    assert len(calls) == 2


@pytest.mark.parametrize(
    "env",
    [
        {"OTEL_BSP_MAX_QUEUE_SIZE": "10", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "20"},  # BatchSpanProcessor raises
        {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},  # not installed
    ],
)
def test_traces_that_cannot_be_set_up_are_done_without(env: dict[str, str]) -> None:
    code = "from workerpool.telemetry.tracing import tracing; print(tracing())"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    ended = subprocess.run(
        [sys.executable, "-c", code], env=clean | ENDPOINT | env, capture_output=True, text=True, check=True, timeout=60
    )
    assert ended.stdout.strip() == "None"
    assert "traces are configured and cannot be" in ended.stderr
