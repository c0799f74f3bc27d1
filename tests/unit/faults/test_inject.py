"""The fault-injecting proxy in front of a toy server."""

import asyncio
import gc
import json
import threading
import time
import urllib.request
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import aiohttp
import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer

from e2e.faults.inject import (
    Answer,
    CutStream,
    Delay,
    Drop,
    DropEvents,
    EndWatch,
    FaultProxy,
    LateEvents,
    LoseAnswer,
    Match,
    OldListings,
    ReorderEvents,
    Upstream,
    Write,
)
from tests.support.waiting import until

EVENTS = [{"type": kind, "object": {"metadata": {"name": kind.lower()}}} for kind in ("ADDED", "MODIFIED", "DELETED")]


class Toy:
    """Remembers what reached it."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, bytes, str]] = []
        self.open_watches = asyncio.Event()
        self.go_on = asyncio.Event()
        """After the second event of a watch with `slow`."""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.requests.append((request.method, request.raw_path, body, request.headers.get("Authorization", "")))
        if request.query.get("watch") != "true":
            return web.json_response({"n": len(self.requests)}, status=201 if request.method == "POST" else 200)
        response = web.StreamResponse()
        await response.prepare(request)
        for event in EVENTS:
            await response.write(json.dumps(event).encode() + b"\n")
            if request.query.get("slow") and event is EVENTS[1]:
                await self.go_on.wait()
        self.open_watches.set()
        if request.query.get("forever"):
            await asyncio.sleep(3600)
        return response

    @property
    def paths(self) -> list[str]:
        return [path for _, path, _, _ in self.requests]


@pytest.fixture
async def toy() -> AsyncIterator[tuple[Toy, str]]:
    toy = Toy()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", toy.answer)
    async with TestServer(app) as server:
        yield toy, str(server.make_url("")).rstrip("/")


@pytest.fixture
async def proxy(toy: tuple[Toy, str]) -> AsyncIterator[FaultProxy]:
    async with FaultProxy(Upstream(toy[1])) as proxy:
        yield proxy


@pytest.fixture
async def client(proxy: FaultProxy) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(proxy.url) as session:
        yield session


async def events(client: aiohttp.ClientSession, query: str = "watch=true") -> list[str]:
    async with client.get(f"/pods?{query}") as answer:
        return [json.loads(line)["type"] async for line in answer.content]


async def test_a_request_passes_as_it_is(toy: tuple[Toy, str], client: aiohttp.ClientSession) -> None:
    headers = {"Authorization": "Bearer abc"}
    async with client.patch("/a%2Fb?force=true&x=%20", data=b'{"x": 1}', headers=headers) as answer:
        assert (answer.status, await answer.json()) == (200, {"n": 1})
    assert toy[0].requests == [("PATCH", "/a%2Fb?force=true&x=%20", b'{"x": 1}', "Bearer abc")]


async def test_a_watch_is_streamed_while_it_goes_on(client: aiohttp.ClientSession) -> None:
    async with asyncio.timeout(60), client.get("/pods?watch=true&forever=1") as answer:
        assert [json.loads(await answer.content.readline())["type"] for _ in EVENTS] == ["ADDED", "MODIFIED", "DELETED"]


async def test_a_status_is_answered_so_many_times(
    toy: tuple[Toy, str], proxy: FaultProxy, client: aiohttp.ClientSession
) -> None:
    injection = proxy.fault(Match(methods={"GET"}, path="/pods"), Answer(429, retry_after=7), times=2)
    statuses = []
    for path in ("/pods", "/nodes", "/pods", "/pods"):
        async with client.get(path) as answer:
            statuses.append(answer.status)
            if answer.status == 429:
                assert answer.headers["Retry-After"] == "7"
                assert (await answer.json())["reason"] == "TooManyRequests"
    assert statuses == [429, 200, 429, 200]
    assert injection.hits == 2
    assert toy[0].paths == ["/nodes", "/pods"]


async def test_a_fault_that_was_left_is_over(proxy: FaultProxy, client: aiohttp.ClientSession) -> None:
    with proxy.fault(Match(), Answer(503)):
        async with client.get("/x") as answer:
            assert answer.status == 503
    async with client.get("/x") as answer:
        assert answer.status == 200


async def test_only_watches_can_be_meant(proxy: FaultProxy, client: aiohttp.ClientSession) -> None:
    proxy.fault(Match(watch=True), Answer(410))
    async with client.get("/pods?watch=true") as watch, client.get("/pods") as listing:
        assert (watch.status, listing.status) == (410, 200)


async def test_a_dropped_request_never_reaches_the_server(
    toy: tuple[Toy, str], proxy: FaultProxy, client: aiohttp.ClientSession
) -> None:
    proxy.fault(Match(), Drop())
    with pytest.raises(aiohttp.ClientError):
        await client.post("/x")
    assert toy[0].requests == []


async def test_a_lost_answer_leaves_the_server_having_acted(
    toy: tuple[Toy, str], proxy: FaultProxy, client: aiohttp.ClientSession
) -> None:
    proxy.fault(Match(), LoseAnswer())
    with pytest.raises(aiohttp.ClientError):
        await client.post("/x")
    assert toy[0].paths == ["/x"]


async def test_a_delayed_request_waits(toy: tuple[Toy, str], proxy: FaultProxy, client: aiohttp.ClientSession) -> None:
    proxy.fault(Match(), Delay(3600))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await client.get("/x")
    assert toy[0].requests == []


async def test_an_answer_is_cut_in_its_middle(proxy: FaultProxy, client: aiohttp.ClientSession) -> None:
    proxy.fault(Match(watch=True), CutStream(after_bytes=10))
    received = b""

    async def read() -> None:
        nonlocal received
        async with client.get("/pods?watch=true&forever=1") as answer:
            async for chunk in answer.content.iter_any():
                received += chunk

    with pytest.raises(aiohttp.ClientError):
        await read()
    assert received == json.dumps(EVENTS[0]).encode()[:10]


async def test_open_watches_are_cut_at_once(
    toy: tuple[Toy, str], proxy: FaultProxy, client: aiohttp.ClientSession
) -> None:
    async with client.get("/pods?watch=true&forever=1") as answer:
        await answer.content.readline()
        assert proxy.cut_streams(Match(path="/nodes")) == 0
        assert proxy.cut_streams(Match(path="/pods")) == 1
        with pytest.raises(aiohttp.ClientError):
            async with asyncio.timeout(60):
                await answer.content.read()


async def test_events_are_left_out(proxy: FaultProxy, client: aiohttp.ClientSession) -> None:
    proxy.fault(Match(watch=True), DropEvents('"DELETED"'))
    assert await events(client) == ["ADDED", "MODIFIED"]


async def test_events_come_in_the_wrong_order(proxy: FaultProxy, client: aiohttp.ClientSession) -> None:
    proxy.fault(Match(watch=True), ReorderEvents('"ADDED"'))
    assert await events(client) == ["MODIFIED", "ADDED", "DELETED"]


@pytest.mark.parametrize(
    ("fault", "first"),
    [
        (DropEvents("ADDED|DELETED"), ["MODIFIED"]),
        (ReorderEvents("ADDED|DELETED"), ["MODIFIED", "ADDED"]),
    ],
)
async def test_events_pass_again_when_the_fault_is_over(
    toy: tuple[Toy, str],
    proxy: FaultProxy,
    client: aiohttp.ClientSession,
    fault: DropEvents | ReorderEvents,
    first: list[str],
) -> None:
    """Also in a watch that began under it, as a network mends under connections that stay."""
    async with asyncio.timeout(60), AsyncExitStack() as stack:
        with proxy.fault(Match(watch=True), fault):
            answer = await stack.enter_async_context(client.get("/pods?watch=true&slow=1"))
            assert [json.loads(await answer.content.readline())["type"] for _ in first] == first
        toy[0].go_on.set()
        assert [json.loads(line)["type"] async for line in answer.content] == ["DELETED"]


async def test_events_come_late_and_in_order(proxy: FaultProxy, client: aiohttp.ClientSession) -> None:
    proxy.fault(Match(watch=True), LateEvents(0.2))
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert await events(client) == ["ADDED", "MODIFIED", "DELETED"]
    assert loop.time() - began >= 0.2


async def test_a_watch_may_be_told_that_its_version_is_gone(
    toy: tuple[Toy, str], proxy: FaultProxy, client: aiohttp.ClientSession
) -> None:
    proxy.fault(Match(watch=True), EndWatch())
    async with client.get("/pods?watch=true") as answer:
        event = json.loads(await answer.content.readline())
    assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")
    assert toy[0].requests == []


async def test_listings_are_answered_as_they_were(
    toy: tuple[Toy, str], proxy: FaultProxy, client: aiohttp.ClientSession
) -> None:
    """Those that the client has asked for by then; watches, single objects and other listings are today's."""

    async def listed(path: str) -> int:
        async with client.get(path, headers={"Authorization": "Bearer abc"}) as answer:
            found: int = (await answer.json())["n"]
            return found

    assert [await listed("/pods?limit=500"), await listed("/pods/one")] == [1, 2]
    old = await proxy.remembered(Match(path="limit="))
    assert isinstance(old, OldListings)
    assert toy[0].requests[-1] == ("GET", "/pods?limit=500", b"", "Bearer abc")
    with proxy.fault(Match(path="limit="), old):
        assert [await listed("/pods?limit=500") for _ in range(2)] == [3, 3]
        assert [await listed("/nodes?limit=500") for _ in range(2)] == [4, 4], "kept as it was answered first"
        assert await listed("/pods/one") == 5
        assert await events(client) == ["ADDED", "MODIFIED", "DELETED"]
    assert await listed("/pods?limit=500") == 7


async def test_requests_are_counted(proxy: FaultProxy, client: aiohttp.ClientSession) -> None:
    for _ in range(3):
        await events(client)
    assert proxy.requests == 3


async def test_writes_are_counted_and_nothing_else(proxy: FaultProxy, client: aiohttp.ClientSession) -> None:
    for method, path in [
        ("GET", "/pods"),
        ("POST", "/apis/apps/v1/namespaces/a/deployments"),
        ("PATCH", "/apis/coordination.k8s.io/v1/namespaces/a/leases/operator"),
        ("POST", "/apis/events.k8s.io/v1/namespaces/a/events?fieldManager=x"),
        ("POST", "/apis/authentication.k8s.io/v1/tokenreviews"),
        ("DELETE", "/api/v1/namespaces/a/configmaps/events-log"),
    ]:
        async with client.request(method, path) as answer:
            assert await answer.json(), "the client gets its answer"
    seen = [(write.number, write.method, write.status) for write in proxy.writes.seen]
    assert seen == [(1, "POST", 201), (2, "DELETE", 200)]


async def test_the_client_is_ended_after_the_server_acted_and_before_it_hears_of_it(
    toy: tuple[Toy, str], proxy: FaultProxy, client: aiohttp.ClientSession
) -> None:
    reached: list[list[str]] = []

    def end(write: Write) -> None:
        assert write.status == 201
        reached.append(toy[0].paths[:])

    proxy.writes.arm(2, end)
    async with client.post("/one") as answer:
        assert answer.status == 201
    with pytest.raises(aiohttp.ClientError):
        await client.post("/two")
    assert reached == [["/one", "/two"]]
    assert proxy.writes.wait_fired(1)


async def test_no_write_slips_through_while_the_client_is_being_ended(
    toy: tuple[Toy, str], proxy: FaultProxy, client: aiohttp.ClientSession
) -> None:
    ending, may_end = threading.Event(), threading.Event()

    def end(_: Write) -> None:
        ending.set()
        may_end.wait(10)

    proxy.writes.arm(1, end)
    last = asyncio.create_task(client.post("/last"))
    await asyncio.to_thread(ending.wait, 10)
    with pytest.raises(aiohttp.ClientError):
        await client.post("/too-late")
    may_end.set()
    with pytest.raises(aiohttp.ClientError):
        await last
    assert toy[0].paths == ["/last"]
    async with client.post("/by-the-next-client") as answer:
        assert answer.status == 201


async def test_a_last_write_that_the_server_never_answers_ends_nobody(tmp_path: Path) -> None:
    ended: list[Write] = []
    async with FaultProxy(Upstream("http://127.0.0.1:9")) as proxy, aiohttp.ClientSession(proxy.url) as client:
        proxy.writes.arm(1, ended.append)
        for _ in range(2):  # the second is not refused as a straggler: it is tried as well
            with pytest.raises(aiohttp.ClientError):
                await client.post("/x")
        assert [write.status for write in proxy.writes.seen] == [None, None]
    assert ended == []


async def test_the_kubeconfig_leads_to_the_proxy(proxy: FaultProxy, tmp_path: Path) -> None:
    path = proxy.write_kubeconfig(tmp_path / "kubeconfig", token="abc")
    config = yaml.safe_load(path.read_text())
    assert config["clusters"][0]["cluster"] == {"server": proxy.url}
    assert config["users"][0]["user"] == {"token": "abc"}
    assert path.stat().st_mode & 0o077 == 0


async def test_it_runs_in_a_thread_beside_code_that_blocks(toy: tuple[Toy, str]) -> None:
    def block() -> int:
        with (
            FaultProxy(Upstream(toy[1])).in_thread() as proxy,
            urllib.request.urlopen(f"{proxy.url}/x", timeout=10) as answer,
        ):
            return int(answer.status)

    assert await asyncio.to_thread(block) == 200


async def test_its_end_leaves_nobody_behind_who_still_answers(
    toy: tuple[Toy, str], caplog: pytest.LogCaptureFixture
) -> None:
    """A loop that closes over them complains of each: hundreds of lines after a long run."""

    def block() -> None:
        with FaultProxy(Upstream(toy[1])).in_thread() as proxy:
            watch = urllib.request.urlopen(f"{proxy.url}/x?watch=true&forever=1", timeout=10)
            watch.readline()
            proxy.fault(Match(), Delay(60.0))
            late = threading.Thread(target=_asks, args=(proxy.url,))
            late.start()
            while proxy.requests < 2:
                time.sleep(0.01)
        late.join()
        watch.close()

    await asyncio.to_thread(block)
    gc.collect()
    assert "was destroyed but it is pending" not in caplog.text


def _asks(url: str) -> None:
    with suppress(OSError):
        urllib.request.urlopen(url, timeout=10)


async def test_nobody_goes_on_answering_a_client_that_is_gone(toy: tuple[Toy, str]) -> None:
    """The server forgets such a request with its connection, and a closing session does not wake its readers."""
    async with FaultProxy(Upstream(toy[1])) as proxy:
        async with aiohttp.ClientSession(proxy.url) as client, client.get("/x?watch=true&forever=1") as answer:
            await answer.content.readline()
            answer.close()
        streams = proxy._streams
        await until(lambda: all(not request.transport for request in streams.values()), what="the client's end")
        answering = list(proxy._answering)
    assert [task.done() for task in answering] == [True]
