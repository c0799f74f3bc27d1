"""The comparison of scalers against a real Redis: what is told of a trace, and what the peers' exporter tells."""

import asyncio
import math
import re

import pytest

from bench.reaction import exporter
from bench.reaction.play import NotMeasuredError, Place, Played, play
from bench.reaction.traces import Job, Trace
from tests.component.cli.workers import Misdeeds, working
from tests.support.redis import RedisServer
from workerpool import Queue
from workerpool.redis import Redis

pytestmark = [pytest.mark.component, pytest.mark.redis]

TRACE = Trace(name="short", jobs=tuple(Job(due=0.05 * n, seconds=0.02) for n in range(6)), window=60.0)


async def played(server: RedisServer, stream: str, misdeeds: Misdeeds | None = None) -> Played:
    """Over as soon as all jobs are settled."""
    async with working(server.url, stream, misdeeds=misdeeds):
        place = Place(url=server.url, stream=stream, group="")
        return await play(TRACE, place, over=lambda: True, tell=lambda _: None)


async def test_every_job_of_a_trace_is_told_of(redis_server: RedisServer, redis_stream: str) -> None:
    """Each is due as the trace says, begun once and done after that."""
    found = await played(redis_server, redis_stream)
    assert (found.outcome.done, found.outcome.interrupted) == (6, 0)
    assert [job.due for job in found.jobs] == [job.due for job in TRACE.jobs]
    assert all(job.due < job.done < 60.0 for job in found.jobs)
    assert {work.pod for work in found.works} == {"pod-1"}
    assert sorted(work.ended for work in found.works) == sorted(job.done for job in found.jobs)


async def test_a_job_whose_worker_was_ended_is_interrupted(redis_server: RedisServer, redis_stream: str) -> None:
    """Its first attempt has no end, and it is done by another one."""
    found = await played(redis_server, redis_stream, Misdeeds(dies_with=frozenset({2})))
    assert (found.outcome.done, found.outcome.interrupted) == (6, 1)
    assert len(found.works) == 7
    assert all(math.isfinite(job.done) for job in found.jobs)


async def test_a_job_that_is_given_up_is_no_measurement(redis_server: RedisServer, redis_stream: str) -> None:
    """It would be missing in every figure."""
    with pytest.raises(NotMeasuredError, match="1 jobs are among the dead letters"):
        await played(redis_server, redis_stream, Misdeeds(buries=frozenset({3})))


async def test_the_exporter_tells_what_was_not_taken_and_what_runs(
    redis_server: RedisServer, redis_stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked anew at each scrape, as Prometheus asks."""
    monkeypatch.setenv("REDIS_URL", redis_server.url)
    monkeypatch.setenv("STREAMS", redis_stream)
    async with Redis(Queue.connect(redis_server.url, stream=redis_stream)) as redis:
        await redis.call("XGROUP", "CREATE", redis_stream, "g", "0", "MKSTREAM")
        for _ in range(5):
            await redis.call("XADD", redis_stream, "*", "type", "sleep")
        assert await scraped() == (5, 0)
        await redis.call("XREADGROUP", "GROUP", "g", "me", "COUNT", 2, "STREAMS", redis_stream, ">")
        assert await scraped() == (3, 2)


async def scraped() -> tuple[int, int]:
    """Lag and pending entries, by one request."""
    server = await asyncio.start_server(exporter.answer, "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        said = (await reader.read()).decode()
        writer.close()
        await writer.wait_closed()
    assert said.startswith("HTTP/1.1 200 OK\r\n")
    found = dict(re.findall(r'^(\w+)\{stream="[^"]+",group="g"\} (\d+)$', said, re.MULTILINE))
    return int(found["redis_stream_group_lag"]), int(found["redis_stream_group_messages_pending"])
