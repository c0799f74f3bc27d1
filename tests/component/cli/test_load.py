"""`wpool load` against a real Redis and a worker that does it right, and one that does not."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.component.cli.workers import Misdeeds, working
from tests.support.redis import RedisServer
from tests.support.waiting import until
from workerpool_operator.cli.load import Load, Progress, Report, Schedule, Target, burst, peak, run, steady
from workerpool_operator.cli.load.report import End

pytestmark = [pytest.mark.component, pytest.mark.redis]

JOB = {"seconds": 0.005, "record": True}


def a_load(server: RedisServer, stream: str, schedule: Schedule, *, patience: float = 30.0) -> Load:
    target = Target(url=server.url, stream=stream, payload=JOB)
    return Load(target=target, schedule=schedule, patience_seconds=patience)


async def loaded(
    server: RedisServer, stream: str, *, schedule: Schedule | None = None, misdeeds: Misdeeds | None = None
) -> Report:
    async with working(server.url, stream, misdeeds=misdeeds):
        return await run(a_load(server, stream, schedule or burst(jobs=30)), stop=asyncio.Event())


async def test_all_jobs_of_a_good_worker_are_counted_done(redis_server: RedisServer, redis_stream: str) -> None:
    """Waits grow along the burst, since the worker does one job at a time, and none is negative."""
    report = await loaded(redis_server, redis_stream)
    assert report.end is End.DONE
    assert (report.jobs_enqueued, report.jobs_done) == (30, 30)
    assert (report.jobs_lost, report.jobs_dead, report.jobs_duplicated, report.jobs_interrupted) == (0, 0, 0, 0)
    assert report.waits.max is not None
    assert report.first_starts.max is not None
    assert 0 <= report.first_starts.max < report.waits.max
    assert report.waits.max >= 29 * JOB["seconds"]
    assert report.throughput is not None
    assert report.throughput > 1


async def test_each_phase_of_a_peak_has_its_own_waits(redis_server: RedisServer, redis_stream: str) -> None:
    report = await loaded(redis_server, redis_stream, schedule=peak(rate=40, seconds=1.5))
    assert (report.jobs_done, list(report.phases)) == (80, ["before", "peak", "after"])
    assert all(waits.p99 is not None for waits in report.phases.values())


async def test_a_job_whose_worker_died_is_interrupted_and_done(redis_server: RedisServer, redis_stream: str) -> None:
    report = await loaded(redis_server, redis_stream, misdeeds=Misdeeds(dies_with=frozenset({3, 7})))
    assert (report.jobs_done, report.jobs_interrupted, report.jobs_lost) == (30, 2, 0)


async def test_a_job_that_vanished_is_lost(redis_server: RedisServer, redis_stream: str) -> None:
    report = await loaded(redis_server, redis_stream, misdeeds=Misdeeds(loses=frozenset({5})))
    assert report.end is End.DONE
    assert (report.jobs_done, report.jobs_lost) == (29, 1)


async def test_a_dead_letter_is_no_loss(redis_server: RedisServer, redis_stream: str) -> None:
    report = await loaded(redis_server, redis_stream, misdeeds=Misdeeds(buries=frozenset({0})))
    assert (report.jobs_done, report.jobs_dead, report.jobs_lost) == (29, 1, 0)


async def test_a_worker_without_records_is_watched_by_depth(redis_server: RedisServer, redis_stream: str) -> None:
    report = await loaded(redis_server, redis_stream, misdeeds=Misdeeds(silent=True))
    assert report.end is End.DONE
    assert (report.jobs_enqueued, report.jobs_done, report.jobs_lost) == (30, None, None)


async def test_what_was_in_the_streams_before_does_not_count(redis_server: RedisServer, redis_stream: str) -> None:
    await loaded(redis_server, redis_stream, misdeeds=Misdeeds(buries=frozenset({0})))
    report = await loaded(redis_server, redis_stream)
    assert (report.jobs_enqueued, report.jobs_done, report.jobs_dead) == (30, 30, 0)


async def test_patience_ends_a_load_that_nobody_works_on(redis_server: RedisServer, redis_stream: str) -> None:
    report = await run(a_load(redis_server, redis_stream, burst(jobs=5), patience=0.5), stop=asyncio.Event())
    assert report.end is End.TIMED_OUT
    assert report.jobs_enqueued == 5


async def test_the_user_s_stop_reports_what_was_measured(redis_server: RedisServer, redis_stream: str) -> None:
    stop = asyncio.Event()

    def after_some(progress: Progress) -> None:
        if progress.done and progress.done >= 5:
            stop.set()

    load = a_load(redis_server, redis_stream, steady(rate=50, jobs=10_000))
    async with working(redis_server.url, redis_stream):
        report = await run(load, stop=stop, on_progress=after_some)
    assert report.end is End.STOPPED
    assert report.jobs_done is not None
    assert 5 <= report.jobs_done <= report.jobs_enqueued < 10_000


async def test_a_broker_that_restarts_in_the_middle_costs_no_job(tmp_path: Path, redis_stream: str) -> None:
    """Batches without an answer are sent again, and the ids keep them from counting twice."""
    with RedisServer(tmp_path) as server:
        # Slow enough for some to be due when it is gone, also on a machine that has stood still for seconds before.
        load = a_load(server, redis_stream, steady(rate=20, jobs=200))
        trouble: list[str] = []

        def look(progress: Progress) -> None:
            if progress.trouble:
                trouble.append(progress.trouble)

        running = asyncio.create_task(run(load, stop=asyncio.Event(), on_progress=look))
        client = server.client()
        await until(lambda: client.xlen(redis_stream) > 20, what="the first jobs")
        server.kill()
        # It looks four times a second, and 20 jobs are due in one: between these looks some could not be put.
        await until(lambda: len(trouble) >= 3, what="a load in trouble")
        server.start()
        await until(lambda: client.xlen(redis_stream) == 200, what="all jobs")
        async with working(server.url, redis_stream):
            report = await running
        client.close()
    assert (report.jobs_enqueued, report.jobs_done, report.jobs_lost, report.jobs_duplicated) == (200, 200, 0, 0)
    assert report.retries > 0


def wpool(*arguments: str, **options: Any) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "workerpool_operator.cli", *arguments]
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "120"}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, **options
    )


async def test_the_command_writes_one_object_and_exits_with_0(
    redis_server: RedisServer, redis_stream: str, tmp_path: Path
) -> None:
    figures = tmp_path / "load.json"
    options = ["--url", redis_server.url, "--stream", redis_stream, "--jobs", "10", "--job-seconds", "0.001"]
    async with working(redis_server.url, redis_stream):
        process = wpool("load", *options, "--json", str(figures))
        out, err = await asyncio.to_thread(process.communicate, timeout=60)
    assert process.returncode == 0, err
    assert json.loads(figures.read_text())["jobs_done"] == 10
    assert "jobs done" in out
    assert "\x1b" not in out + err


async def test_ctrl_c_gives_the_report_and_130(redis_server: RedisServer, redis_stream: str) -> None:
    options = ["--url", redis_server.url, "--stream", redis_stream, "--rate", "50", "--duration", "600"]
    process = wpool("load", *options)
    client = redis_server.client()
    await until(lambda: client.xlen(redis_stream) >= 5, what="the first jobs")
    client.close()
    process.send_signal(signal.SIGINT)
    out, _ = await asyncio.to_thread(process.communicate, timeout=60)
    assert process.returncode == 130
    assert "stopped by you" in out


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--url", "redis://127.0.0.1:1/0", "--stream", "s", "--jobs", "1"], 3, "127.0.0.1:1"),
        (["--url", "nats://127.0.0.1:1", "--stream", "s", "--jobs", "1"], 3, "127.0.0.1:1"),
        (["--url", "amqp://127.0.0.1:1", "--jobs", "1"], 2, "--queue"),
        (["--url", "memory://", "--jobs", "1"], 2, "memory://"),
        (["--url", "redis://127.0.0.1:1/0", "--stream", "s"], 2, "--jobs N"),
        (["--url", "redis://127.0.0.1:1/0", "--stream", "s", "--rate", "5"], 2, "--duration"),
        (["--url", "http://127.0.0.1", "--stream", "s", "--jobs", "1"], 2, "redis://"),
        (["--url", "redis://127.0.0.1:1/0", "--stream", "s", "--jobs", "1", "--payload", "[]"], 2, "JSON object"),
        (["--url", "redis://127.0.0.1:1/0", "--stream", "s", "--jobs", "0"], 2, "--jobs"),
    ],
)
def test_what_cannot_work_is_said_in_one_line(options: list[str], code: int, said: str) -> None:
    process = wpool("load", *options)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, out + err
    assert said in err
    assert "Traceback" not in err
