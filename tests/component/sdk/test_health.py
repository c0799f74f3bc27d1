"""Kubelet's questions to a worker, before it is ready and after."""

import os
import select
import signal
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest
import pytest_asyncio

from e2e.cluster.ports import free_port
from tests.component.sdk.running import environment
from tests.support.redis import RedisServer
from tests.support.waiting import until
from tests.support.workers import WorkerProcess
from workerpool.runtime.health import HOLD_SECONDS, MOST_HELD, HealthServer

pytestmark = [pytest.mark.component, pytest.mark.redis]

FOR_EVER = 600.0


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def health(opened: ExitStack) -> HealthServer:
    """A server that holds requests for longer than any test takes."""
    server = HealthServer(0, hold_seconds=FOR_EVER)
    opened.callback(server.stop)
    return server


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def send(opened: ExitStack, port: int, request: bytes = b"GET /ready HTTP/1.1\r\nHost: x\r\n\r\n") -> socket.socket:
    """Ask, and do not wait for the answer."""
    client = opened.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
    client.sendall(request)
    return client


def status(client: socket.socket) -> int:
    with client.makefile("rb") as answer:
        return int(answer.readline().split()[1])


def hold_all_places(opened: ExitStack, health: HealthServer) -> list[socket.socket]:
    """As many requests as are held; proven by the next one, which is answered at once."""
    clients = [send(opened, health.port) for _ in range(MOST_HELD + 1)]
    answered, _, _ = select.select(clients, [], [], 20)
    [refused] = answered
    assert status(refused) == 503
    return [client for client in clients if client is not refused]


def test_a_request_that_comes_early_is_answered_when_the_worker_is_ready(
    opened: ExitStack, health: HealthServer
) -> None:
    held = hold_all_places(opened, health)
    health.evidence.start(stuck_seconds=45)
    assert {status(client) for client in held} == {200}


def test_held_requests_do_not_keep_others_from_their_answer(opened: ExitStack, health: HealthServer) -> None:
    held = hold_all_places(opened, health)
    assert get(health.port, "/healthz") == (200, "ok\n")
    assert get(health.port, "/ready") == (503, "starting or draining\n")
    assert select.select(held, [], [], 0)[0] == []


def test_a_stop_answers_who_waits(opened: ExitStack, health: HealthServer) -> None:
    held = hold_all_places(opened, health)
    health.evidence.drain()
    assert {status(client) for client in held} == {503}


def test_a_request_is_held_for_less_than_the_shortest_timeout_of_a_probe(opened: ExitStack) -> None:
    assert HOLD_SECONDS < 1
    server = HealthServer(0)
    opened.callback(server.stop)
    assert get(server.port, "/ready") == (503, "starting or draining\n")


def test_a_worker_that_was_ready_says_at_once_that_it_is_not_any_more(health: HealthServer) -> None:
    """The server of this test would hold the request for ten minutes."""
    health.evidence.start(stuck_seconds=45)
    assert get(health.port, "/ready") == (200, "ok\n")
    health.evidence.drain()
    assert get(health.port, "/ready") == (503, "starting or draining\n")


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (b"GET /healthz?verbose HTTP/1.1\r\nHost: x\r\n\r\n", 200),
        (b"GET /healthz HTTP/1.0\n\n", 200),
        (b"GET /nothing HTTP/1.1\r\n\r\n", 404),
        (b"POST /ready HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 405),
        (b"hello\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00 \xff HTTP/\r\n\r\n", 405),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n", 400),
        (b"GET /ready HTTP/1.1\r\n" + b"a: b\r\n" * 101 + b"\r\n", 400),
    ],
    ids=lambda value: value[:20] if isinstance(value, bytes) else value,
)
def test_whatever_is_sent_is_answered(opened: ExitStack, health: HealthServer, request_: bytes, expected: int) -> None:
    assert status(send(opened, health.port, request_)) == expected
    assert get(health.port, "/healthz")[0] == 200


def test_a_client_that_says_nothing_keeps_nobody_waiting(opened: ExitStack, health: HealthServer) -> None:
    for _ in range(20):
        send(opened, health.port, b"GET /ready")
    assert get(health.port, "/healthz")[0] == 200


SLOW_TO_LOAD = """
import os, signal
if "DEAF" in os.environ:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
open(os.environ["GATE"]).close()  # a pipe: ends when the test opens its other end
from workerpool import Worker
worker = Worker(metrics_port=0)
@worker.job("nothing")
async def nothing(job): ...
"""
PROGRAM = """
import os, workerpool
workerpool.run("slow_to_load:worker", health_port=int(os.environ["PORT"]))
"""


class Loading(NamedTuple):
    """A worker whose program loads until `gate` is opened, and its health port."""

    worker: WorkerProcess
    port: int
    gate: Path


@pytest_asyncio.fixture
async def loading(
    redis_server: RedisServer, redis_stream: str, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Loading]:
    gate, port = tmp_path / "gate", free_port()
    os.mkfifo(gate)
    (tmp_path / "slow_to_load.py").write_text(SLOW_TO_LOAD)
    (tmp_path / "program.py").write_text(PROGRAM)
    env = environment(redis_server, redis_stream, GATE=str(gate), PORT=str(port), **getattr(request, "param", {}))
    worker = WorkerProcess(tmp_path / "program.py", env, log=tmp_path / "log")
    try:
        await until(lambda: listens(port), what="the port")
        yield Loading(worker, port, gate)
    finally:
        worker.end()


def test_a_program_that_still_loads_is_alive_and_not_ready(loading: Loading) -> None:
    worker, port, gate = loading
    assert get(port, "/healthz") == (200, "ok\n")
    assert get(port, "/ready")[0] == 503
    threading.Thread(target=gate.write_bytes, args=(b"",)).start()
    worker.wait_ready()
    assert get(port, "/ready") == (200, "ok\n")
    assert worker.port("health") == port


def test_a_program_that_is_told_to_stop_while_it_loads_ends_at_once(loading: Loading) -> None:
    """By itself: the first process of a container has no default for SIGTERM, it would go on and take jobs."""
    loading.worker.signal(signal.SIGTERM)
    assert loading.worker.wait() == 0


@pytest.mark.parametrize("loading", [{"DEAF": "1"}], indirect=True)
def test_it_ends_even_where_the_signal_does_not_interrupt_it(loading: Loading) -> None:
    """Blocked in the main thread, as by a call into a library that goes on waiting; another thread gets it."""
    loading.worker.signal(signal.SIGTERM)
    assert loading.worker.wait() == 0


@pytest.mark.parametrize("named", ["slow_to_load", "slow_to_load:", "json:dumps", "json:nothing", ":worker"])
def test_a_name_that_is_no_worker_is_a_start_up_error(named: str, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(f"import workerpool\nworkerpool.run({named!r}, health_port=0)")
    worker = WorkerProcess(tmp_path / "program.py", {}, log=tmp_path / "log")
    try:
        assert worker.wait() == 2
        assert f"'{named}' is no worker: write package.module:name" in worker.output
    finally:
        worker.end()


def test_a_port_that_is_taken_is_a_start_up_error(
    redis_server: RedisServer, redis_stream: str, tmp_path: Path, health: HealthServer
) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    env = environment(redis_server, redis_stream, PORT=str(health.port))
    worker = WorkerProcess(tmp_path / "program.py", env, log=tmp_path / "log")
    try:
        assert worker.wait() == 2
        assert f"port {health.port}" in worker.output
    finally:
        worker.end()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
