"""docs/reference/fates.md, played row by row: real workers, a real Redis."""

import asyncio
import json
import re
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pytest

from tests.component.sdk.lanes.conftest import Lanes, figure
from tests.support.clock import WallClock
from tests.support.disk import Disk
from tests.support.proxy import Proxy
from tests.support.redis import RedisServer
from tests.support.waiting import until
from tests.support.workers import WorkerProcess
from workerpool import BrokerUnavailable, JobSpec, Queue
from workerpool.broker import connect

pytestmark = [pytest.mark.component, pytest.mark.redis]

PAGE = Path(__file__).parents[4] / "docs" / "reference" / "fates.md"
LEASE = {"LEASE_SECONDS": "0.5"}
"""For jobs that kill their worker: they come back soon."""
SHORT_LEASE = {"LEASE_SECONDS": "8"}
"""For what waits for the end of one; longer than this machine stands still."""


class Fate(NamedTuple):
    """A row of the page."""

    input: str
    job: str
    worker: str
    seen_in: str


def rows() -> list[Fate]:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("|")]
    return [Fate(*(cell.strip() for cell in line.strip("|").split("|"))) for line in lines[2:]]


class Input(NamedTuple):
    """A job that is enqueued, and what its worker is told."""

    type: str
    action: str = "sleep"
    argument: Any = 0
    env: dict[str, str] = {}  # noqa: RUF012  read only
    jobs: int = 1


INPUTS = {
    "a job of an unknown type": Input("nobody"),
    "a handler that raises": Input("io", "fail", "x"),
    "a handler that raises `RejectJob`": Input("io", "reject", "x"),
    "a handler that hangs, lane io": Input("io-brief", "sleep", 3600),
    "a handler that hangs, lane thread": Input("thread-brief", "sleep", 3600),
    "a handler that hangs, lane cpu": Input("cpu-brief", "sleep", 3600),
    "a handler that ignores its cancellation": Input("io-brief", "deaf", 3600),
    "`sys.exit` in a task of a handler": Input("io", "exit_in_a_task", 3),
    "`os._exit` in lane io": Input("io", "end_process", 1, LEASE),
    "`os._exit` in lane thread": Input("thread", "end_process", 1, LEASE),
    "`os._exit` in lane cpu": Input("cpu", "end_process", 0),
    "a segmentation fault in lane cpu": Input("cpu", "kill_process", int(signal.SIGSEGV)),
    "a process of lane cpu killed for want of memory": Input("cpu", "kill_process", int(signal.SIGKILL)),
    "a handler that kills its process group, lane cpu": Input("cpu", "kill_group", 0),
    "a handler that forks, lane io": Input("io", "fork", 0),
    "a handler that forks, lane thread": Input("thread", "fork", 0),
    "a handler that forks, lane cpu": Input("cpu", "fork", 0),
    "a handler that leaks memory, `recycle_children_rss_bytes`": Input(
        "cpu", "grow", 80, {"RECYCLE_CHILDREN_RSS_BYTES": str(100 << 20)}
    ),
    "a handler that leaks memory, `recycle_rss_bytes`": Input(
        "thread", "grow", 250, {"RECYCLE_RSS_BYTES": str(200 << 20)}
    ),
    "a handler that leaks open files, lane cpu": Input("cpu", "open_files", 450, {"OPEN_FILES": "500"}, jobs=3),
    "a handler that uses up all open files, lane cpu": Input("cpu", "use_up_files", env={"OPEN_FILES": "500"}, jobs=3),
    "a handler that leaks open files, lane thread": Input("thread", "open_files", 430, {"OPEN_FILES": "500"}),
    "a handler that blocks the event loop": Input("io", "hold", 0.5, {"HEARTBEAT_INTERVAL": "8"}),
    "a handler that writes to a full disk": Input("thread", "fill_disk", "/dev/full"),
    "the worker's clock jumps a day ahead": Input("io", "jump", 86_400, LEASE),
    "the worker's clock jumps a day back": Input("io", "jump", -86_400, LEASE),
}


async def enqueue_entry(lanes: Lanes, fields: dict[str, str]) -> None:
    lanes.server.client().xadd(lanes.stream, {"id": "bad", **fields})


ENTRIES: dict[str, dict[str, str]] = {
    "an entry that is no job": {"type": "io", "payload": "{not json"},
    "a job that comes too late (`expires_in`)": {"type": "io", "payload": "{}", "expires": "1000"},
    "a job that waited too long (`shedAfterSeconds`)": {"type": "io", "payload": "{}", "due": "1000"},
    "a payload over 1 MiB": {"type": "io", "payload": json.dumps("x" * (1024 * 1024 + 1))},
}


class Scene(NamedTuple):
    """A worker at work, and what may fail under it."""

    lanes: Lanes
    worker: WorkerProcess
    proxy: Proxy
    clock: WallClock | None

    @property
    def server(self) -> RedisServer:
        return self.lanes.server

    def set_clock(self, seconds: int) -> None:
        assert self.clock is not None
        self.clock.set(seconds)
        assert abs(self.server.client().time()[0] - time.time() - seconds) < 60


async def restarted(scene: Scene) -> AsyncIterator[None]:
    scene.server.kill()
    await until(lambda: "cannot " in scene.worker.output, what="the worker noticing")
    scene.server.start()
    yield


async def failed_over(scene: Scene) -> AsyncIterator[None]:
    """The replica becomes the primary, and the primary its replica, with all its connections; and back in the end."""
    server, proxy = scene.server, scene.proxy
    with TemporaryDirectory() as folder, RedisServer(Path(folder)) as other:
        server.client().config_set("repl-diskless-sync-delay", 0)
        other.client().replicaof("127.0.0.1", server.port)
        await until(lambda: other.client().info("replication").get("master_link_status") == "up", what="a replica")
        await hand_over(server, other)
        proxy.lead_to(other.port)
        await until(lambda: "cannot " in scene.worker.output, what="the worker noticing")
        yield
        await until(lambda: server.client().info("replication").get("master_link_status") == "up", what="a replica")
        await hand_over(other, server)
        proxy.lead_to(server.port)


async def hand_over(primary: RedisServer, replica: RedisServer) -> None:
    """As FAILOVER does: nothing is written while the replica reads the rest."""
    primary.client().execute_command("CLIENT", "PAUSE", 60_000, "WRITE")
    written = primary.client().info("replication")["master_repl_offset"]
    await until(lambda: replica.client().info("replication")["slave_repl_offset"] >= written, what="all of it read")
    replica.client().replicaof("NO", "ONE")
    primary.client().replicaof("127.0.0.1", replica.port)
    primary.client().execute_command("CLIENT", "UNPAUSE")


async def full(scene: Scene) -> AsyncIterator[None]:
    scene.server.client().config_set("maxmemory", "1")
    yield
    scene.server.client().config_set("maxmemory", "0")


async def slow(scene: Scene) -> AsyncIterator[None]:
    scene.server.pause()
    asyncio.get_running_loop().call_later(2, scene.server.resume)
    yield


async def half_open(scene: Scene) -> AsyncIterator[None]:
    scene.proxy.freeze()
    await until(lambda: "cannot " in scene.worker.output, what="the worker noticing", seconds=60)
    scene.proxy.thaw()
    yield


async def clock_ahead(scene: Scene) -> AsyncIterator[None]:
    """While a peer has room, that would take over what has expired."""
    stream = scene.lanes.stream
    peer = connect(scene.server.url, stream=stream, lease_seconds=float(SHORT_LEASE["LEASE_SECONDS"]))
    try:
        await peer.maintain()
        scene.set_clock(86_400)
        found = await peer.take(limit=20, wait=0.05)
        assert not any(job.redelivered for job in found)
        await peer.hand_back(found)
        yield
    finally:
        await peer.close()


async def clock_back(scene: Scene) -> AsyncIterator[None]:
    """After a peer died with jobs in hand."""
    stream = scene.lanes.stream
    while not scene.server.client().xreadgroup(stream, "dead", {stream: ">"}, count=3):
        await scene.lanes.enqueue("io-unrecorded", "sleep", 1, count=20)  # the worker has taken all others
    scene.set_clock(-86_400)
    yield


Trouble = Callable[[Scene], AsyncIterator[None]]
TROUBLES: dict[str, Trouble] = {
    "Redis restarts": restarted,
    "Redis fails over, and the former primary goes on as a replica": failed_over,
    "Redis is full (`maxmemory`, `noeviction`)": full,
    "Redis is slow": slow,
    "the connection is half open": half_open,
    "Redis' clock jumps a day ahead": clock_ahead,
    "Redis' clock jumps a day back": clock_back,
}
FULL_DISK = "the disk with an SQLite queue is full"
CLOCKS: set[Trouble] = {clock_ahead, clock_back}


def test_every_row_is_played() -> None:
    assert [row.input for row in rows()] == list(dict.fromkeys(row.input for row in rows()))
    assert {row.input for row in rows()} == {*INPUTS, *ENTRIES, *TROUBLES, FULL_DISK}


@pytest.mark.parametrize(
    "row", [row for row in rows() if row.input not in {*TROUBLES, FULL_DISK}], ids=lambda row: row.input
)
async def test_the_fate_of_a_bad_job_is_as_documented(lanes: Lanes, row: Fate) -> None:
    given = INPUTS.get(row.input, Input("io"))
    env = {"MAX_ATTEMPTS": "2", "SLOTS_CPU": "1", "SHED_AFTER_SECONDS": '{"normal": 600}'} | given.env
    worker = lanes.start(**env)
    if row.input in ENTRIES:
        await enqueue_entry(lanes, ENTRIES[row.input])
    for number in range(given.jobs):
        if row.input not in ENTRIES:
            name = "bad" if number == 0 else f"bad-{number}"
            await lanes.enqueue(given.type, given.action, given.argument, job_id=name)
    worker, deaths = await settled(lanes, worker, env)
    await until(lambda: seen(worker, row.seen_in), what=row.seen_in)
    assert fate_of_the_job(lanes) == row.job
    if row.worker.startswith("drains"):
        assert await asyncio.to_thread(worker.wait) == 0
    elif row.worker.startswith("dies"):
        assert deaths == 2
    else:
        assert row.worker == "works on"
        assert deaths == 0
        await works_on(lanes, worker)


@pytest.mark.parametrize("row", [row for row in rows() if row.input in TROUBLES], ids=lambda row: row.input)
async def test_jobs_outlive_the_troubles_of_their_broker(tmp_path: Path, redis_stream: str, row: Fate) -> None:
    trouble = TROUBLES[row.input]
    clock = WallClock(tmp_path / "clock") if trouble in CLOCKS else None
    async with own_redis(tmp_path, redis_stream, clock) as (lanes, proxy):
        worker = lanes.start(
            QUEUE_MAIN_URL=proxy.url,
            RECORD_URL=proxy.url.replace(str(proxy.port), str(lanes.server.port)),
            **(SHORT_LEASE if trouble in CLOCKS else {}),
        )
        await lanes.enqueue("cpu", "sleep", 0.1, job_id="warm")
        await until(lanes.finished, what="the worker at work")
        await lanes.enqueue("io-unrecorded", "sleep", 1, count=20)
        await until(lambda: lanes.server.client().xpending(lanes.stream, lanes.stream)["pending"], what="jobs running")
        async for _ in trouble(Scene(lanes, worker, proxy, clock)):
            await until(lambda: all_done(lanes), what="all jobs done", seconds=60)
        assert lanes.dead() == []
        await until(lambda: seen(worker, row.seen_in), what=row.seen_in)
        assert (row.job, row.worker) == ("done", "works on")
        await works_on(lanes, worker)
        await until(lambda: figure(worker, "jobs_processed_total") >= 22, what="each job settled, and counted")


@pytest.mark.parametrize("row", [row for row in rows() if row.input == FULL_DISK], ids=lambda row: row.input)
async def test_jobs_outlive_a_full_disk_under_their_queue(lanes: Lanes, tmp_path: Path, row: Fate) -> None:
    """Their ends cannot be written, neither can it be written that others are taken."""
    disk = Disk(tmp_path / "disk")
    url = f"sqlite:///{disk.folder / 'jobs.db'}"
    async with Queue.connect(url) as queue:
        worker = lanes.start(WORKERPOOL_NAME="", QUEUE_MAIN_URL=url, **disk.env)
        go = f"{lanes.stream}:go"
        await queue.enqueue_many([JobSpec("thread", ["wait_for", go])] * 20)
        await until(lambda: lanes.recorded("begun"), what="jobs running")
        disk.fill()
        await until(lambda: "disk is full" in worker.output, what="the worker noticing")
        lanes.server.client().set(go, 1)
        await until(lambda: figure(worker, "job_processing_seconds_count") >= 1, what="a job at its end")
        assert figure(worker, "jobs_processed_total") == 0
        assert worker.get("health", "/healthz")[0] == 200
        disk.make_room()
        await until(lambda: figure(worker, "jobs_processed_total") == 20, what="all jobs done", seconds=60)
        assert (row.job, row.worker) == ("done", "works on")
        assert list(lanes.recorded("begun").values()) == [1] * 20
        assert seen(worker, row.seen_in)
        depth = await queue.depth()
        assert (depth.waiting, depth.in_flight, depth.delayed, depth.dead_letters) == (0, 0, 0, 0)


async def settled(lanes: Lanes, worker: WorkerProcess, env: dict[str, str]) -> tuple[WorkerProcess, int]:
    """Have the jobs run to their end, starting a worker anew as Kubernetes would; the last one, and how many died."""
    deaths = 0
    while True:
        await until(
            lambda worker=worker: ended(lanes, worker),  # type: ignore[misc]
            what="the job settled, or its worker dead",
            seconds=60,  # three processes, one after the other, on a machine that is busy with others
        )
        if worker.alive or await lanes.finished():
            return worker, deaths
        deaths += 1
        worker = lanes.start(**env)


async def ended(lanes: Lanes, worker: WorkerProcess) -> bool:
    return not worker.alive or await lanes.finished()


async def all_done(lanes: Lanes) -> bool:
    try:
        return await lanes.finished()
    except BrokerUnavailable:
        return False


def fate_of_the_job(lanes: Lanes) -> str:
    letters = lanes.dead()
    if not letters:
        assert set(lanes.recorded("done")) >= {"bad"}
        return "done"
    [letter] = letters
    assert letter["id"] == "bad"
    if int(letter["dead.attempts"]) == 0:
        return f"dead letter `{letter['dead.reason']}`, not begun"
    if int(letter["dead.attempts"]) == 1:
        return f"dead letter `{letter['dead.reason']}` at once"
    return f"tried again, then dead letter `{letter['dead.reason']}`"


def seen(worker: WorkerProcess, where: str) -> bool:
    [text] = re.findall(r"`(.*)`", where)
    if where.startswith("log "):
        return text in worker.output
    name, _, labels = text.partition("{")
    return figure(worker, name, **dict(re.findall(r'(\w+)="(\w+)"', labels))) > 0


async def works_on(lanes: Lanes, worker: WorkerProcess) -> None:
    for type_ in ("io", "thread", "cpu"):
        await lanes.enqueue(type_, "sleep", 0, job_id=f"next-{type_}")
    await until(
        lambda: {"next-io", "next-thread", "next-cpu"} <= set(lanes.recorded("done")), what="the next jobs done"
    )
    assert worker.get("health", "/healthz")[0] == 200
    assert len(lanes.workers) == 1


@asynccontextmanager
async def own_redis(folder: Path, stream: str, clock: WallClock | None) -> AsyncIterator[tuple[Lanes, Proxy]]:
    with RedisServer(folder / "redis", env=clock.env if clock else None) as server:
        async with Proxy(server.port) as proxy:
            lanes = Lanes(server, stream, folder)
            try:
                yield lanes, proxy
            finally:
                for worker in lanes.workers:
                    worker.end()
                await lanes.queue.close()
