"""The bridge keeps the worker contract for a library that only calls its hooks."""

import asyncio
import threading
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import pytest_asyncio

from tests.support.collector import FakeCollector
from tests.support.waiting import until
from workerpool.adapters.bridge import Bridge, contract_from
from workerpool.adapters.ledger import Outcome
from workerpool.protocol import Delivery, Settings
from workerpool.runtime import linking
from workerpool.telemetry.metrics import FailureReason

pytestmark = pytest.mark.component


class PlayedLibrary:
    """Does what the test says, in the test's thread; pauses when it is let."""

    def __init__(self) -> None:
        self.pausing: list[Callable[[], None]] = []
        self.resumed = 0
        self.called_in: set[int] = set()
        self.hurried = threading.Event()

    def slots(self) -> int:
        return 4

    def children(self) -> list[int]:
        return []

    def pause(self, paused: Callable[[], None]) -> None:
        self.called_in.add(threading.get_ident())
        self.pausing.append(paused)

    def resume(self) -> None:
        self.resumed += 1

    def hurry(self) -> None:
        self.hurried.set()


@pytest.fixture
def library() -> PlayedLibrary:
    return PlayedLibrary()


@pytest_asyncio.fixture
async def collector(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeCollector]:
    monkeypatch.setattr(linking, "AFTER_SECONDS", (0.0, 0.0))
    async with FakeCollector() as collector:
        yield collector


@pytest.fixture
def bridge(library: PlayedLibrary, collector: FakeCollector) -> Iterator[Bridge]:
    bridge = _bridge(library, WORKERPOOL_COLLECTOR=collector.address)
    bridge.start()
    yield bridge
    bridge.stop()


def _bridge(library: PlayedLibrary, **env: str) -> Bridge:
    told = {
        "WORKERPOOL_NAME": "pool",
        "WORKERPOOL_VERSION": "v1",
        "WORKERPOOL_POD": "pod-1",
        "HEARTBEAT_INTERVAL": "0.2",
        "STUCK_AFTER": "1",
        "DRAIN_TIMEOUT": "5",
    }
    contract = contract_from(told | env)
    assert contract is not None
    return Bridge(library, contract, lane="thread", health_port=0, metrics_port=0)


def _get(bridge: Bridge, path: str) -> tuple[int, str]:
    port = bridge.ports[path == "/metrics"]
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


async def _asked(bridge: Bridge, path: str) -> tuple[int, str]:
    return await asyncio.to_thread(_get, bridge, path)


async def _is_unhealthy(bridge: Bridge) -> str:
    status, text = await _asked(bridge, "/healthz")
    return text if status == 503 else ""


def test_outside_a_pool_there_is_nothing_to_keep() -> None:
    assert contract_from({"MAX_WORKERS": "nonsense"}) is None


async def test_it_is_ready_when_the_library_is_and_not_while_it_drains(bridge: Bridge) -> None:
    assert (await _asked(bridge, "/ready"))[0] == 503
    assert (await _asked(bridge, "/healthz"))[0] == 200
    bridge.ready()
    assert (await _asked(bridge, "/ready"))[0] == 200
    bridge.drain()
    await until(lambda: bridge.evidence.draining, what="the drain")
    assert (await _asked(bridge, "/ready"))[0] == 503


async def test_a_library_whose_loop_hangs_fails_its_probe(bridge: Bridge) -> None:
    """Nothing of the bridge's own stands for it; and what it calls again is heard."""
    bridge.ready()
    await until(lambda: _is_unhealthy(bridge), what="a hung loop noticed")

    async def heard() -> bool:
        bridge.beat()
        return (await _asked(bridge, "/healthz"))[0] == 200

    await until(heard, what="the loop that turns again")


async def test_a_broker_that_is_away_is_told_and_costs_no_restart(bridge: Bridge, collector: FakeCollector) -> None:
    bridge.ready()
    bridge.away("ConnectionError")
    report = await collector.report_where(lambda report: report.paused)
    assert report.paused == "broker: ConnectionError"
    assert not await _unhealthy_within(bridge, seconds=1.5)
    bridge.back()
    await collector.report_where(lambda report: not report.paused)
    await until(lambda: _is_unhealthy(bridge), what="a loop that hangs after that noticed")


async def _unhealthy_within(bridge: Bridge, *, seconds: float, beats: bool = False) -> str:
    """What is wrong at two looks in a row: all loops are late when this machine has stood still, and turn again."""
    loop = asyncio.get_running_loop()
    end, before = loop.time() + seconds, ""
    while loop.time() < end:
        if beats:
            bridge.beat()
        problem = await _is_unhealthy(bridge)
        if problem and before:
            return problem
        before = problem
        await asyncio.sleep(0.05)
    return ""


async def test_a_job_that_is_taken_and_not_begun_while_none_runs_is_evidence(bridge: Bridge) -> None:
    bridge.ready()
    bridge.taken("later", later=True)
    assert "has not been started" not in await _beating(bridge, seconds=1.3)
    bridge.taken("stuck")
    assert "has not been started" in await _beating(bridge, seconds=30)


async def test_a_prefetched_job_that_waits_for_the_one_before_it_is_none(bridge: Bridge) -> None:
    bridge.ready()
    bridge.begins("runs", "work")
    bridge.taken("waits")
    assert not await _beating(bridge, seconds=1.3)


async def _beating(bridge: Bridge, *, seconds: float) -> str:
    return await _unhealthy_within(bridge, seconds=seconds, beats=True)


async def test_jobs_are_counted_under_the_contracts_names(bridge: Bridge, collector: FakeCollector) -> None:
    bridge.ready()
    for key, attempt, outcome in (
        ("a", 1, Outcome.DONE),
        ("b", 1, Outcome.RETRIED),
        ("b", 2, Outcome.DONE),
        ("c", 3, Outcome.DEAD_LETTERED),
        ("d", 1, Outcome.HANDED_BACK),
    ):
        bridge.taken(key)
        bridge.begins(key, "work", attempt=attempt)
        bridge.ended(key, outcome, reason=FailureReason.TIMEOUT)
        bridge.ended(key, outcome)  # a second time is nothing
    bridge.taken("revoked")
    bridge.ended("revoked", Outcome.DISCARDED)
    bridge.taken("prefetched")
    bridge.begins("runs", "work")
    report = await collector.report_where(lambda report: report.in_flight == 2)
    counters = report.counters
    assert (counters.started, counters.processed, counters.failed) == (6, 2, 2)
    assert (counters.first_attempts, counters.first_failures) == (4, 1)
    assert (counters.dead_lettered, counters.handed_back) == (2, 1)
    assert (report.slots, report.remaining_seconds) == (4, None)
    _, text = await _asked(bridge, "/metrics")
    labels = '{lane="thread",pool="pool",version="v1"}'
    assert f"worker_jobs_in_progress{labels} 2.0" in text
    assert f"jobs_first_attempts_total{labels} 4.0" in text
    assert f"jobs_retried_total{labels} 1.0" in text
    assert 'jobs_failed_total{lane="thread",pool="pool",reason="timeout",version="v1"} 2.0' in text
    assert f"worker_slots{labels} 4.0" in text
    assert "worker_heartbeat_unixtime" in text


async def test_a_fence_is_reported_when_the_library_has_paused_and_counts_what_came_until_then(
    bridge: Bridge, library: PlayedLibrary, collector: FakeCollector
) -> None:
    bridge.ready()
    await collector.report_where(lambda report: True)
    await collector.send(Settings(fence="f"))
    await until(lambda: library.pausing, what="the pause asked for")
    bridge.taken("came while it paused")
    report = await collector.report_where(lambda report: report.in_flight == 1)
    assert report.fence == ""
    library.pausing[0]()
    report = await collector.report_where(lambda report: report.fence == "f")
    assert report.in_flight == 1
    bridge.ended("came while it paused", Outcome.DONE)
    await collector.report_where(lambda report: report.in_flight == 0)
    await collector.send(Settings(fence="g"))
    await collector.report_where(lambda report: report.fence == "g")
    await collector.send(Settings(fence=""))
    await collector.report_where(lambda report: report.fence == "")
    assert (len(library.pausing), library.resumed) == (1, 1)
    assert threading.get_ident() not in library.called_in


async def test_what_only_the_sdk_heeds_is_said_once(
    bridge: Bridge, collector: FakeCollector, caplog: pytest.LogCaptureFixture
) -> None:
    await collector.report_where(lambda report: True)
    delivery = Delivery(
        max_attempts=5, backoff_seconds=1, backoff_max_seconds=60, lease_seconds=60, rate_limit_per_second=5
    )
    for fence in ("a", "b"):
        await collector.send(Settings(delivery=delivery, fence=fence))
    await until(lambda: "only the SDK's own worker heeds that" in caplog.text, what="the setting named")
    assert caplog.text.count("only the SDK's own worker heeds that") == 1


async def test_it_leaves_with_last_words_and_after_a_last_scrape(bridge: Bridge, collector: FakeCollector) -> None:
    bridge.ready()
    await collector.report_where(lambda report: True)
    for key in ("a", "b"):
        bridge.begins(key, "work")
    bridge.ended("a", Outcome.DONE)
    bridge.drain()
    finishing = asyncio.create_task(asyncio.to_thread(bridge.finish))
    await until(lambda: collector.last_words, what="the last words")
    [words] = collector.last_words
    assert (words.interrupted, words.counters.processed) == (1, 1)
    await until(lambda: bridge.metrics.drain_seconds > 0, what="the drain over")
    while not finishing.done():
        try:
            await _asked(bridge, "/metrics")
        except OSError:
            break
        await asyncio.sleep(0.02)
    await finishing
    with pytest.raises(OSError, match="refused"):
        await _asked(bridge, "/ready")


async def test_a_drain_that_takes_too_long_is_hurried(library: PlayedLibrary) -> None:
    bridge = _bridge(library, DRAIN_TIMEOUT="0.2")
    bridge.start()
    bridge.ready()
    bridge.begins("runs", "work")
    bridge.drain()
    await until(library.hurried.is_set, what="the library told to end its jobs")
    bridge.stop()


async def test_messages_that_were_dropped_with_their_connection_are_not_in_flight(bridge: Bridge) -> None:
    bridge.begins("runs", "work")
    bridge.taken("prefetched")
    bridge.forget_unstarted()
    assert bridge.in_flight == 1
    bridge.begins("prefetched", "work")  # it was on its way to a process
    assert bridge.in_flight == 2


async def test_without_a_collector_it_ends_as_well(library: PlayedLibrary) -> None:
    bridge = _bridge(library)
    bridge.start()
    await asyncio.to_thread(bridge.finish)  # it was never ready: nobody waits for a scrape
    assert not bridge.evidence.ready


async def test_a_bridge_that_breaks_is_no_healthy_worker(
    library: PlayedLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    bridge = _bridge(library)
    monkeypatch.setattr(library, "slots", lambda: 1 / 0)
    bridge.start()
    bridge.evidence.start(stuck_seconds=1)
    assert "has broken: ZeroDivisionError" in await _beating(bridge, seconds=30)
    bridge.stop()
