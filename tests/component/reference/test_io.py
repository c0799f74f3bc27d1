"""The reference worker's page fetcher, against a site that behaves badly."""

import hashlib
import json
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from tests.component.reference.conftest import Environment
from tests.component.reference.looking import dead, finished
from tests.component.sdk.running import serving
from tests.support.redis import RedisServer
from tests.support.waiting import until
from workerpool import JobSpec, Queue, Worker
from workers.reference.io.reference_io.context import lifespan
from workers.reference.io.reference_io.fetch import fetch
from workers.reference.io.reference_io.sleep import sleep

pytestmark = [pytest.mark.component, pytest.mark.redis]


class Site:
    """Counts what it was asked for."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.agents: set[str] = set()
        self.robots = (200, "User-agent: *\nDisallow: /private\n")
        self.failures = 0
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked[request.path] += 1
        self.agents.add(request.headers["User-Agent"])
        if request.path == "/flaky" and self.failures:
            self.failures -= 1
            return web.Response(status=503)
        answers = {
            "/robots.txt": lambda: web.Response(status=self.robots[0], text=self.robots[1]),
            "/moved": lambda: web.Response(status=302, headers={"Location": "/private/page"}),
            "/circle": lambda: web.Response(status=302, headers={"Location": "/circle"}),
            "/large": lambda: web.Response(body=b"x" * (6 * 1024 * 1024)),
            "/missing": lambda: web.Response(status=404, text="no"),
        }
        return answers.get(request.path, lambda: web.Response(text="hello"))()


@pytest_asyncio.fixture
async def site() -> AsyncIterator[Site]:
    site, application = Site(), web.Application()
    application.router.add_get("/{path:.*}", site.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    site.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield site
    await runner.cleanup()


@pytest_asyncio.fixture
async def worker(contract: Environment) -> AsyncIterator[Worker]:
    """The reference worker, in this process."""
    contract()
    worker = Worker(lifespan=lifespan, health_port=0, metrics_port=0)
    worker.job("fetch", timeout=20)(fetch)
    worker.job("sleep", timeout=20)(sleep)
    async with serving(worker):
        yield worker


def result(server: RedisServer, stream: str, job_id: str) -> Any:
    kept = server.client().get(f"{{{stream}}}:user:result:{job_id}")
    return json.loads(kept) if kept else None


@pytest.mark.usefixtures("worker")
async def test_pages_are_fetched_and_kept_once(
    site: Site, queue: Queue, redis_server: RedisServer, redis_stream: str
) -> None:
    await queue.enqueue_many([JobSpec("fetch", {"url": f"{site.url}/page"}, job_id=f"p-{n}") for n in range(20)])
    await queue.enqueue("fetch", {"url": f"{site.url}/missing"}, job_id="m")
    await until(lambda: finished(queue), what="all fetched")
    kept = result(redis_server, redis_stream, "p-7")
    assert (kept["url"], kept["status"], kept["bytes"]) == (f"{site.url}/page", 200, 5)
    assert kept["sha256"] == hashlib.sha256(b"hello").hexdigest()
    assert result(redis_server, redis_stream, "m")["status"] == 404
    assert site.agents == {"workerpool-reference-io"}
    assert site.asked["/page"] == 20
    assert site.asked["/robots.txt"] == 1, "also by jobs that begin together"
    assert 0 < redis_server.client().ttl(f"{{{redis_stream}}}:user:result:p-7") <= 24 * 3600
    # A repeated job (here by a producer that writes to Redis itself) finds its result and fetches nothing.
    fields = {"type": "fetch", "payload": json.dumps({"url": f"{site.url}/page"}), "id": "p-7"}
    redis_server.client().xadd(redis_stream, fields)
    await until(lambda: finished(queue), what="the repeated job done")
    assert site.asked["/page"] == 20
    assert result(redis_server, redis_stream, "p-7") == kept


@pytest.mark.usefixtures("worker")
async def test_robots_txt_is_obeyed_also_behind_a_redirect(
    site: Site, queue: Queue, redis_server: RedisServer, redis_stream: str
) -> None:
    for path in ("/private/page", "/moved", "/circle", "/large"):
        await queue.enqueue("fetch", {"url": site.url + path})
    await queue.enqueue("fetch", {"url": "file:///etc/passwd"})
    await queue.enqueue("fetch", "no url")
    await until(lambda: finished(queue), what="all rejected")
    assert site.asked["/private/page"] == 0
    errors = dead(redis_server, redis_stream)
    assert len(errors) == 6
    assert sum("robots.txt" in error for error in errors) == 2
    assert sum("redirects" in error for error in errors) == 1
    assert sum("more than 5242880 bytes" in error for error in errors) == 1
    assert sum("must name a page" in error for error in errors) == 2


@pytest.mark.usefixtures("worker")
async def test_temporary_trouble_is_retried(
    site: Site, queue: Queue, redis_server: RedisServer, redis_stream: str
) -> None:
    site.failures = 2
    await queue.enqueue("fetch", {"url": f"{site.url}/flaky"}, job_id="f")
    await until(lambda: finished(queue), what="fetched in the end")
    assert result(redis_server, redis_stream, "f")["status"] == 200
    assert site.asked["/flaky"] == 3


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(("robots", "fetched"), [((404, ""), True), ((503, ""), False), ((200, ""), True)])
async def test_a_robots_txt_that_is_not_there_allows_and_one_that_fails_does_not(
    site: Site,
    queue: Queue,
    redis_server: RedisServer,
    redis_stream: str,
    *,
    robots: tuple[int, str],
    fetched: bool,
) -> None:
    site.robots = robots
    await queue.enqueue("fetch", {"url": f"{site.url}/private/page"}, job_id="r")
    await until(lambda: finished(queue), what="the job settled")
    assert (result(redis_server, redis_stream, "r") is not None) is fetched
    assert site.asked["/private/page"] == int(fetched)


@pytest.mark.usefixtures("worker")
async def test_a_sleeping_job_tells_when_it_starts_and_ends(
    queue: Queue, redis_server: RedisServer, redis_stream: str
) -> None:
    await queue.enqueue("sleep", {"seconds": 0.01, "record": True, "fail_attempts": 1}, job_id="s")
    await until(lambda: finished(queue), what="the job done")
    records = [fields for _, fields in redis_server.client().xrange(f"{{{redis_stream}}}:user:results")]
    assert [(fields[b"event"], fields[b"attempt"]) for fields in records] == [
        (b"start", b"1"),
        (b"fail", b"1"),
        (b"start", b"2"),
        (b"finish", b"2"),
    ]
    assert {(fields[b"job"], fields[b"pod"], fields[b"node"]) for fields in records} == {(b"s", b"pod-1", b"n")}
