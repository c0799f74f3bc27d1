"""How workers come back to a collector that was away: the clock is looptime's, and nothing is dialled."""

import asyncio
import random
from collections import Counter
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
import structlog

from workerpool.runtime.collector import CollectorLink
from workerpool.runtime.live import Orders

pytestmark = pytest.mark.looptime


class Link(CollectorLink):
    """Its stream ends at once, and there is none until `returns`."""

    def __init__(self, returns: float, failure: Exception) -> None:
        nothing: Any = None
        log = structlog.get_logger()
        super().__init__("collector:1", identity=nothing, state=nothing, obey=nothing, period=10, log=log)
        self._returns = returns
        self._failure = failure
        self._streams = 0
        self.back: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    async def _dial(self, session: aiohttp.ClientSession) -> Any:
        self._streams += 1
        if self._streams > 1 and asyncio.get_running_loop().time() < self._returns:
            raise self._failure

    async def _serve(self, connection: Any) -> None:
        if self._streams > 1:
            self.back.set_result(asyncio.get_running_loop().time())
            await asyncio.Event().wait()


async def back(failure: Exception, *, outage: float) -> list[float]:
    """When each of 50 workers is back after an outage that begins now, in order."""
    random.seed(outage)
    began = asyncio.get_running_loop().time()
    links = [Link(began + outage, failure) for _ in range(50)]
    tasks = [asyncio.create_task(link.run()) for link in links]
    times = sorted(await asyncio.gather(*(link.back for link in links)))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return [at - began for at in times]


@pytest.mark.parametrize("outage", [1.0, 3.0, 12.0])
async def test_50_workers_are_back_over_five_seconds(outage: float) -> None:
    where: Any = SimpleNamespace(host="collector", port=1, ssl=False)
    refused = aiohttp.ClientConnectorError(where, OSError("refused"))
    for failure in (refused, TimeoutError()):
        times = await back(failure, outage=outage)
        spread = times[-1] - times[0]
        assert 5 <= spread <= 8
        assert max(Counter(int(at - times[0]) for at in times).values()) <= 3 * 50 / spread


async def test_a_stream_that_ended_alone_is_there_again_at_once() -> None:
    assert (await back(TimeoutError(), outage=0))[-1] <= 0.5


async def test_who_is_refused_by_a_collector_that_is_there_asks_again_soon() -> None:
    """Its pod may be too new for the collector to know."""
    refused = aiohttp.ClientConnectionError("refused")
    assert (await back(refused, outage=0.6))[-1] <= 2


@pytest.mark.parametrize(
    "failure",
    [
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
        ValueError("Newline, carriage return, or null byte detected in headers."),
        KeyError("a bug"),
    ],
    ids=lambda failure: type(failure).__name__,
)
async def test_whatever_goes_wrong_the_worker_dials_again(failure: Exception) -> None:
    """Of a token's file, of a header, or by a mistake of ours: a worker does without the stream."""
    assert (await back(failure, outage=0.6))[-1] <= 2


class Stream:
    """A connection that takes no report."""

    closed = False

    def __init__(self) -> None:
        self._closed = asyncio.Event()

    async def send_str(self, _text: str) -> None:
        raise AssertionError("the state has no report")

    async def close(self) -> None:
        self._closed.set()

    def __aiter__(self) -> "Stream":
        return self

    async def __anext__(self) -> None:
        await self._closed.wait()
        raise StopAsyncIteration


async def test_a_report_that_cannot_be_made_ends_the_stream_and_says_why() -> None:
    """A stream without reports would keep this worker's last one for ever."""
    link = listening([])
    stream: Any = Stream()
    with pytest.raises(TypeError, match="not callable"):
        await link._serve(stream)


def listening(obeyed: list[Orders]) -> CollectorLink:
    nothing: Any = None
    log = structlog.get_logger()
    return CollectorLink("c:1", identity=nothing, state=nothing, obey=obeyed.append, period=10, log=log)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"type": "settings", "fence": "1.2", "ttl_seconds": 9}', Orders(ttl_seconds=9, fence="1.2")),
        (
            '{"type": "settings", "fence": "1.2", "ttl_seconds": 9, "delivery": {"max_attempts": 0}}',
            Orders(ttl_seconds=9, fence="1.2"),
        ),
        ('{"type": "settings", "fence": "1.2", "ttl_seconds": -1}', Orders(fence="1.2")),
        ('{"type": "settings", "fence": "", "delivery": 1}', Orders()),
        ('{"type": "settings", "fence": 1}', None),
        ('{"type": "greetings", "fence": "1.2"}', None),
        ("no JSON", None),
    ],
)
def test_a_fence_is_obeyed_whatever_stands_beside_it(text: str, expected: Orders | None) -> None:
    obeyed: list[Orders] = []
    listening(obeyed)._receive(text)
    assert obeyed == ([] if expected is None else [expected])
