"""Traces of real workers and producers, read at a real OTLP receiver."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.otlp import Received, Receiver, receiving
from tests.support.redis import RedisServer
from tests.support.waiting import until
from tests.support.workers import WorkerProcess
from workerpool import Depth, Queue

pytestmark = [pytest.mark.component, pytest.mark.redis]

PROGRAM = Path(__file__).with_name("traced_program.py")
SECRET = "what-only-the-payload-says"


class Stage:
    """A queue, its workers and producers, and where their spans go."""

    def __init__(self, redis: RedisServer, stream: str, folder: Path, receiver: Receiver) -> None:
        self._queue = (redis.url, stream)
        self._folder = folder
        self.receiver = receiver
        self.env = {
            "QUEUE_MAIN_URL": redis.url,
            "QUEUE_MAIN_STREAM": stream,
            "BACKOFF_SECONDS": "0.01",
            "MAX_ATTEMPTS": "2",
            "INSTRUMENT": "1",
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
            "OTEL_BSP_SCHEDULE_DELAY": "50",
            "FLUSH_SECONDS": "60",
        }
        self.workers: list[WorkerProcess] = []

    def start(self, **env: str) -> WorkerProcess:
        number = len(self.workers)
        said = {**self.env, "OTEL_SERVICE_NAME": "worker", **env}
        self.workers.append(WorkerProcess(PROGRAM, said, log=self._folder / f"worker-{number}.log"))
        return self.workers[-1].wait_ready()

    def put(self, *jobs: dict[str, Any], **env: str) -> None:
        """By a process of its own, which ends with it."""
        said = {**os.environ, **self.env, "OTEL_SERVICE_NAME": "shop", **env}
        subprocess.run([sys.executable, str(PROGRAM), "put", json.dumps(jobs)], env=said, check=True, timeout=60)

    async def depth(self) -> Depth:
        url, stream = self._queue
        async with Queue.connect(url, stream=stream) as queue:
            return await queue.depth()

    async def finished(self) -> bool:
        depth = await self.depth()
        return depth.unfinished == 0

    async def span(self, name: str) -> Received:
        """The only one of this name, when it has come."""
        await until(lambda: self.receiver.named(name), what=f"a span {name}")
        [span] = self.receiver.named(name)
        return span

    @property
    def stream(self) -> str:
        return self._queue[1]


@pytest.fixture
def stage(redis_server: RedisServer, redis_stream: str, tmp_path: Path) -> Iterator[Stage]:
    with receiving() as receiver:
        stage = Stage(redis_server, redis_stream, tmp_path, receiver)
        yield stage
        for worker in stage.workers:
            worker.end()


@pytest.mark.parametrize("lane", ["io", "thread", "cpu"])
async def test_a_job_is_one_trace_from_its_producer_to_what_its_handler_calls(stage: Stage, lane: str) -> None:
    stage.put({"type": lane, "payload": {"url": stage.receiver.url, "s": SECRET}, "job_id": "a", "tenant": "acme"})
    worker = stage.start()
    where = stage.stream
    ack = await stage.span(f"ack {where}")
    send, wait, process, get = [
        await stage.span(name) for name in (f"send {where}", f"wait {where}", f"process {where}", "GET")
    ]
    assert {span.trace_id for span in stage.receiver.spans} == {send.trace_id}
    assert [(span.parent_id, span.kind) for span in (send, wait, process, get, ack)] == [
        ("", "producer"),
        (send.span_id, "internal"),
        (send.span_id, "consumer"),
        (process.span_id, "client"),
        (process.span_id, "client"),
    ]
    assert process.links == [send.span_id]
    assert stage.receiver.asked[-1].split("-")[1:3] == [send.trace_id, get.span_id], "and on to who is called"
    assert send.start <= wait.end <= process.start <= get.start <= get.end <= process.end <= ack.end
    assert [span.resource["service.name"] for span in (send, process, get)] == ["shop", "worker", "worker"]
    assert process.attributes == {
        "messaging.system": "redis",
        "messaging.destination.name": where,
        "messaging.operation.type": "process",
        "messaging.operation.name": "process",
        "messaging.message.id": "a",
        "workerpool.job.type": lane,
        "workerpool.job.tenant": "acme",
        "workerpool.job.attempt": 1,
        "workerpool.job.outcome": "ack",
    }
    assert SECRET.encode() not in stage.receiver.raw
    lines = [json.loads(line) for line in worker.output.splitlines() if '"at work"' in line]
    assert [(line["trace_id"], line["span_id"]) for line in lines] == [(process.trace_id, process.span_id)]


async def test_a_job_that_puts_a_job_is_one_trace_with_it(stage: Stage) -> None:
    stage.put({"type": "relay", "payload": {}})
    stage.start()
    await until(lambda: len(stage.receiver.named(f"ack {stage.stream}")) == 2, what="both jobs")
    first, second = stage.receiver.named(f"send {stage.stream}")
    one, two = stage.receiver.named(f"process {stage.stream}")
    assert (one.parent_id, second.parent_id, two.parent_id) == (first.span_id, one.span_id, second.span_id)
    assert len({span.trace_id for span in stage.receiver.spans}) == 1


@pytest.mark.parametrize("type_", ["bulk", "bulk-cpu"])
async def test_each_job_of_a_batch_is_a_trace_of_its_own_linked_with_the_one_in_which_the_call_is(
    stage: Stage, type_: str
) -> None:
    stage.put(*[{"type": type_, "payload": {"url": stage.receiver.url}, "job_id": name} for name in "ab"])
    stage.start()
    where = stage.stream
    await until(lambda: len(stage.receiver.named(f"process {where}")) == 2, what="both jobs")
    get = await stage.span("GET")
    done = sorted(stage.receiver.named(f"process {where}"), key=lambda span: span.span_id != get.parent_id)
    assert {span.attributes["messaging.message.id"] for span in done} == {"a", "b"}
    assert [span.attributes["workerpool.batch.jobs"] for span in done] == [2, 2]
    first, second = done
    assert (get.trace_id, get.parent_id) == (first.trace_id, first.span_id)
    assert first.trace_id != second.trace_id
    assert first.span_id in second.links
    assert first.links == [first.parent_id]


@pytest.mark.parametrize("lane", ["io", "cpu"])
async def test_of_jobs_that_are_not_sampled_those_that_failed_are_sent_whole(stage: Stage, lane: str) -> None:
    never = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0"}
    well = [{"type": lane, "payload": {"url": stage.receiver.url}, "job_id": f"well-{number}"} for number in range(5)]
    bad = {"type": lane, "payload": {"url": stage.receiver.url, "fail": True}, "job_id": "bad"}
    stage.put(*well, bad, **never)
    worker = stage.start(SLOW_JOB_SECONDS="60", **never)  # a process of the cpu lane takes its time to start
    await until(stage.finished, what="all jobs done")
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    first, second = stage.receiver.named(f"process {stage.stream}")
    assert {span.trace_id for span in stage.receiver.spans} == {first.trace_id}
    assert [span.attributes["workerpool.job.outcome"] for span in (first, second)] == ["retry", "dead_letter"]
    assert [span.attributes["workerpool.job.attempt"] for span in (first, second)] == [1, 2]
    assert {span.attributes["messaging.message.id"] for span in (first, second)} == {"bad"}
    assert all(span.failed and span.attributes["error.type"] == "error" for span in (first, second))
    assert first.events["exception"]["exception.type"] == "ValueError"
    assert "in call" in first.events["exception"]["exception.stacktrace"] or lane == "io"
    assert b"hunter2" not in stage.receiver.raw
    names = sorted(span.name.removesuffix(f" {stage.stream}") for span in stage.receiver.spans)
    assert names == ["GET", "GET", "dead_letter", "process", "process", "retry", "wait", "wait"]


@pytest.mark.parametrize("trouble", ["away", "silent", "refuses"])
async def test_an_endpoint_in_trouble_costs_no_job_and_little_time(stage: Stage, trouble: str) -> None:
    """It would take a minute to wait for an answer."""
    env = {"FLUSH_SECONDS": "", "OTEL_EXPORTER_OTLP_TIMEOUT": "60"}
    if trouble == "away":
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            env["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    elif trouble == "silent":
        stage.receiver.hold.clear()
    else:
        stage.receiver.status = 503
    # What a process takes to start, by the state of this machine, is not what an endpoint costs.
    began = time.monotonic()
    stage.put({"type": "io", "payload": {}}, OTEL_SDK_DISABLED="true")
    plain = time.monotonic() - began
    began = time.monotonic()
    stage.put(*[{"type": "io", "payload": {}, "job_id": str(number)} for number in range(300)], **env)
    assert time.monotonic() - began < 2 * plain + 20, "the producer leaves, too"
    worker = stage.start(**env)
    await until(stage.finished, what="all jobs done")
    if trouble != "away":
        await until(lambda: stage.receiver.tries, what="somebody who tries to send spans")
    began = time.monotonic()
    worker.signal(signal.SIGTERM)
    assert await asyncio.to_thread(worker.wait) == 0
    assert time.monotonic() - began < 30
    assert '"interrupted": 0' in worker.output


async def test_a_worker_without_opentelemetry_says_once_what_to_install_and_works(stage: Stage, tmp_path: Path) -> None:
    missing = tmp_path / "missing" / "opentelemetry"
    missing.mkdir(parents=True)
    (missing / "__init__.py").write_text("raise ModuleNotFoundError('No module', name='opentelemetry')")
    env = {"PYTHONPATH": str(missing.parent), "INSTRUMENT": "", "FLUSH_SECONDS": ""}
    stage.put({"type": "cpu", "payload": {}}, {"type": "relay", "payload": {}}, **env)
    worker = stage.start(**env)
    await until(stage.finished, what="all jobs done")
    warned = [line for line in worker.output.splitlines() if "workerpool[otel]" in line]
    assert len(warned) == 1
    assert json.loads(warned[0])["level"] == "warning"
    assert stage.receiver.tries == 0
