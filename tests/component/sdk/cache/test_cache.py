"""A cache on a real Redis: what is kept, for how long, and what happens when something goes wrong."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.support.redis import RedisServer
from tests.support.waiting import until
from workerpool import ConfigurationError, PayloadInvalid, Queue
from workerpool.cache import MAX_VALUE_BYTES, Cache, FillFailed
from workerpool.redis import Redis
from workerpool.telemetry.metrics import Metrics, set_current

pytestmark = [pytest.mark.component, pytest.mark.redis]
MakeCache = Callable[..., Cache]


class Origin:
    """Counts how often it is asked, and how many ask at a time; answers when it is let."""

    def __init__(self) -> None:
        self.asked = self.at_once = self.most_at_once = 0
        self.let = asyncio.Event()
        self.let.set()
        self.error: Exception | None = None

    async def __call__(self) -> Any:
        self.asked += 1
        number = self.asked
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.let.wait()
        finally:
            self.at_once -= 1
        if self.error is not None:
            raise self.error
        return {"number": number}

    def waits_for(self, count: int) -> Callable[[], bool]:
        return lambda: self.asked == count


@pytest_asyncio.fixture
async def cache(redis_server: RedisServer, redis_stream: str) -> AsyncIterator[MakeCache]:
    """Each is as that of another process: they share nothing but Redis."""
    opened: list[Redis] = []

    def make(*, url: str = redis_server.url, timeout: float = 5.0, **options: Any) -> Cache:
        redis = Redis(Queue.connect(url, stream=redis_stream), timeout=timeout)
        opened.append(redis)
        options.setdefault("lock_seconds", 60.0)  # none is lost while this machine stands still
        return Cache(redis, **options)

    yield make
    for redis in opened:
        await redis.close()


async def test_a_value_is_kept_for_all_until_it_is_forgotten(cache: MakeCache) -> None:
    origin, one, other = Origin(), cache(), cache()
    assert await one.get_or_fill("key", origin, ttl=60) == {"number": 1}
    assert await other.get_or_fill("key", origin, ttl=60) == {"number": 1}
    assert await other.get_or_fill("another key", origin, ttl=60) == {"number": 2}
    assert await cache(name="another cache").get_or_fill("key", origin, ttl=60) == {"number": 3}
    await other.forget("key")
    assert await one.get_or_fill("key", origin, ttl=60) == {"number": 4}


async def test_no_key_meets_what_belongs_to_another_one(
    cache: MakeCache, redis_server: RedisServer, redis_stream: str
) -> None:
    """Not its lock, and neither the queue's own keys nor those of handlers."""
    origin, one = Origin(), cache()
    for key in ("a", "a:lock", "lock:a", "l:cache:a", "a"):
        await one.get_or_fill(key, origin, ttl=60)
    assert origin.asked == 4
    with pytest.raises(ConfigurationError, match="colon"):
        cache(name="a:b")
    async with Redis(Queue.connect(redis_server.url, stream=redis_stream)) as redis:
        assert redis.key("dead") != redis.dead_letters == f"{{{redis_stream}}}:dead"
        for name in ("cache:v:cache:a", "delayed", ""):
            assert redis.key(name).startswith(f"{{{redis_stream}}}:user:")


def extended(server: RedisServer) -> int:
    """How often a lock was, or a value kept."""
    return int(server.client().info("commandstats").get("cmdstat_pexpire", {}).get("calls", 0))


def rights(server: RedisServer, *more: str) -> str:
    """The URL of a user who may do what the page says of workers."""
    page = (Path(__file__).parents[4] / "docs" / "reference" / "worker-contract.md").read_text()
    [documented] = [line.split() for line in page.splitlines() if line.strip().startswith("~thumbs")]
    server.client().execute_command("ACL", "SETUSER", "worker", "reset", "on", ">pw", *documented, *more)
    return server.url.replace("://", "://worker:pw@")


def needed_by_the_cache() -> list[str]:
    page = (Path(__file__).parents[4] / "docs" / "reference" / "worker-contract.md").read_text()
    [documented] = [line.split() for line in page.splitlines() if line.strip().startswith("+pttl")]
    return documented


async def test_the_documented_rights_are_enough(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    origin = Origin()
    with RedisServer(tmp_path) as server:
        url = rights(server, *needed_by_the_cache())
        async with Redis(Queue.connect(url, stream="thumbs")) as redis:
            # Long enough that a machine which stands still for seconds does not lose the lock instead.
            cache = Cache(redis, lock_seconds=12.0)
            for _ in range(2):
                assert await cache.get_or_fill("key", origin, ttl=60) == {"number": 1}
            origin.let.clear()
            filling = asyncio.create_task(cache.get_or_fill("slow", origin, ttl=60))
            await until(origin.waits_for(2), what="the origin asked")
            await until(lambda: extended(server) > 1, what="its lock extended")
            origin.let.set()
            assert await filling == await cache.get_or_fill("slow", origin, ttl=60)
            origin.error = OSError("down")
            with pytest.raises(OSError, match="down"):
                await cache.get_or_fill("failing", origin, ttl=60)
            with pytest.raises(FillFailed):
                await cache.get_or_fill("failing", origin, ttl=60)
            await cache.forget("key")
    assert caplog.messages == []


async def test_missing_rights_are_called_by_their_name(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    origin = Origin()
    with RedisServer(tmp_path) as server:
        async with Redis(Queue.connect(rights(server), stream="thumbs")) as redis:
            cache = Cache(redis)
            for number in (1, 2):
                assert await cache.get_or_fill("key", origin, ttl=60) == {"number": number}
    [said] = caplog.records
    assert said.getMessage() == "the cache's Redis refuses its commands, asking the origin"
    assert str(said.__dict__["error"]).startswith("AuthenticationFailed: ")


async def test_what_is_forgotten_while_it_is_got_is_not_kept(cache: MakeCache) -> None:
    origin, one, other = Origin(), cache(), cache()
    origin.let.clear()
    filling = asyncio.create_task(one.get_or_fill("key", origin, ttl=60))
    await until(origin.waits_for(1), what="the origin asked")
    await other.forget("key")
    origin.let.set()
    assert await filling == {"number": 1}
    assert await other.get_or_fill("key", origin, ttl=60) == {"number": 2}


async def test_callers_do_not_share_what_they_may_change(cache: MakeCache) -> None:
    one = cache()
    first, second = await asyncio.gather(*(one.get_or_fill("key", Origin(), ttl=60) for _ in range(2)))
    first["number"] = 7
    assert second == {"number": 1}


async def test_a_value_expires_within_the_jitter_before_its_ttl(
    cache: MakeCache, redis_server: RedisServer, redis_stream: str
) -> None:
    one = cache(jitter=0.2)
    for number in range(40):
        await one.get_or_fill(f"{number}", Origin(), ttl=1000)
    with redis_server.client() as client:
        left = [client.ttl(f"{{{redis_stream}}}:cache:v:cache:{number}") for number in range(40)]
    assert 790 <= min(left) < max(left) <= 1000
    assert max(left) - min(left) > 50


async def test_before_it_expires_one_refreshes_it_and_the_others_have_the_old_value(cache: MakeCache) -> None:
    origin = Origin()
    assert await cache().get_or_fill("key", origin, ttl=60) == {"number": 1}
    origin.let.clear()
    early = cache(beta=1e9, chance=lambda: 0.5)  # a fill of a millisecond a minute before
    refreshing = asyncio.create_task(early.get_or_fill("key", origin, ttl=60))
    await until(origin.waits_for(2), what="the refresh")
    assert await cache(beta=1e9, chance=lambda: 0.5).get_or_fill("key", origin, ttl=60) == {"number": 1}
    origin.let.set()
    assert await refreshing == {"number": 2}
    assert await cache(beta=0).get_or_fill("key", origin, ttl=60) == {"number": 2}


async def test_who_refreshes_keeps_nobody_of_its_own_process_waiting(cache: MakeCache) -> None:
    """Neither those who asked at the same moment nor those who ask later; given up, another one does it."""
    origin, early = Origin(), cache(beta=1e9, chance=lambda: 0.5)
    assert await cache().get_or_fill("key", origin, ttl=60) == {"number": 1}
    origin.let.clear()
    calls = [asyncio.create_task(early.get_or_fill("key", origin, ttl=60)) for _ in range(5)]
    await until(lambda: sum(call.done() for call in calls) == 4, what="the others answered")
    assert await early.get_or_fill("key", origin, ttl=60) == {"number": 1}
    assert (origin.asked, [call.result() for call in calls if call.done()]) == (2, [{"number": 1}] * 4)
    [refreshing] = [call for call in calls if not call.done()]
    refreshing.cancel()
    await asyncio.wait([refreshing])
    origin.let.set()
    assert await early.get_or_fill("key", origin, ttl=60) == {"number": 3}
    assert origin.most_at_once == 1


async def test_a_refresh_that_fails_is_nobodys_error(cache: MakeCache) -> None:
    origin = Origin()
    await cache().get_or_fill("key", origin, ttl=60)
    origin.error = OSError("origin is away")
    assert await cache(beta=1e9, chance=lambda: 0.5).get_or_fill("key", origin, ttl=60) == {"number": 1}
    assert origin.asked == 2


async def test_an_error_is_told_to_all_and_the_origin_is_left_alone_for_a_while(cache: MakeCache) -> None:
    origin, one, others = Origin(), cache(error_seconds=8), [cache() for _ in range(5)]
    origin.let.clear()
    origin.error = OSError("origin is away")
    calls = [asyncio.create_task(one.get_or_fill("key", origin, ttl=60)) for _ in range(5)]
    await until(origin.waits_for(1), what="the origin asked")
    calls += [asyncio.create_task(other.get_or_fill("key", origin, ttl=60)) for other in others]
    origin.let.set()
    errors = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(error) for error in errors] == [OSError] * 5 + [FillFailed] * 5
    assert str(errors[-1]) == "OSError: origin is away"
    assert origin.asked == 1
    origin.error = None

    async def filled() -> bool:
        try:
            return bool(await others[0].get_or_fill("key", origin, ttl=60) == {"number": 2})
        except FillFailed:
            return False

    await until(filled, what="the next fill")


async def test_who_gives_up_takes_nothing_from_the_others_and_the_last_one_ends_the_fill(cache: MakeCache) -> None:
    origin, one = Origin(), cache()
    origin.let.clear()
    calls = [asyncio.create_task(one.get_or_fill("key", origin, ttl=60)) for _ in range(2)]
    await until(origin.waits_for(1), what="the origin asked")
    calls[0].cancel()
    await until(calls[0].cancelled, what="the first one gone")
    assert origin.at_once == 1
    calls[1].cancel()
    await until(lambda: origin.at_once == 0, what="the fill ended")
    origin.let.set()
    async with asyncio.timeout(20):  # its lock was let go, too
        assert await cache().get_or_fill("key", origin, ttl=60) == {"number": 2}


async def test_without_redis_the_origin_is_asked_by_one_at_a_time(cache: MakeCache, tmp_path: Path) -> None:
    origin = Origin()
    with RedisServer(tmp_path) as server:
        one = cache(url=server.url)
        assert await one.get_or_fill("key", origin, ttl=60) == {"number": 1}
        server.kill()
        values = await asyncio.gather(*(one.get_or_fill("key", origin, ttl=60) for _ in range(50)))
        assert values == [{"number": 2}] * 50
        assert origin.most_at_once == 1
        origin.let.clear()
        filling = asyncio.create_task(one.get_or_fill("key", origin, ttl=60))
        await until(origin.waits_for(3), what="the origin asked again: nothing was kept")
        origin.let.set()
        assert await filling == {"number": 3}
        server.start()
        assert await one.get_or_fill("key", origin, ttl=60) == {"number": 1}, "Redis is back, with what it had"


async def test_a_redis_that_hangs_costs_its_timeout(cache: MakeCache, tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        one = cache(url=server.url, timeout=0.2)
        server.pause()
        async with asyncio.timeout(10):
            assert await one.get_or_fill("key", Origin(), ttl=60) == {"number": 1}
        server.resume()


async def test_a_redis_that_goes_away_during_a_fill_costs_no_value(cache: MakeCache, tmp_path: Path) -> None:
    origin = Origin()
    origin.let.clear()
    with RedisServer(tmp_path) as server:
        filling = asyncio.create_task(cache(url=server.url).get_or_fill("key", origin, ttl=60))
        await until(origin.waits_for(1), what="the origin asked")
        server.kill()
        origin.let.set()
        assert await filling == {"number": 1}


async def test_what_is_no_json_or_too_large_is_refused(cache: MakeCache) -> None:
    async def large() -> str:
        return "x" * MAX_VALUE_BYTES

    async def strange() -> object:
        return object()

    for fill in (large, strange):
        with pytest.raises(PayloadInvalid, match="value"):
            await cache(error_seconds=0).get_or_fill("key", fill, ttl=60)


async def test_a_fill_that_hangs_is_ended(cache: MakeCache) -> None:
    origin = Origin()
    origin.let.clear()
    with pytest.raises(TimeoutError):
        await cache(fill_seconds=0.05).get_or_fill("key", origin, ttl=60)
    assert origin.at_once == 0


@pytest.mark.parametrize("options", [{"lock_seconds": 0}, {"jitter": 2}, {"beta": -1}])
async def test_settings_that_make_no_sense_are_refused(cache: MakeCache, options: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError):
        cache(**options)
    with pytest.raises(ConfigurationError, match="ttl"):
        await cache().get_or_fill("key", Origin(), ttl=0)


async def test_waits_for_another_one_that_fills_are_measured_and_hits_are_none(
    cache: MakeCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics = Metrics(pool="p", version="v", slots={})
    set_current(metrics)
    origin, first, second = Origin(), cache(), cache()
    origin.let.clear()
    filling = asyncio.create_task(first.get_or_fill("k", origin, ttl=60))
    await until(origin.waits_for(1), what="the fill begun")
    waiting = asyncio.create_task(second.get_or_fill("k", origin, ttl=60))
    looks, look, began = [], second._redis.run, asyncio.get_running_loop().time()

    async def counted(*arguments: Any) -> Any:
        looks.append(arguments)
        return await look(*arguments)

    monkeypatch.setattr(second._redis, "run", counted)
    await until(lambda: len(looks) >= 3, what="it looks again")
    origin.let.set()
    assert await filling == await waiting == await first.get_or_fill("k", origin, ttl=60)
    waits = metrics.cache("cache")
    assert (sum(waits.counts), waits.counts[0]) == (2, 1), "who fills did not wait"
    assert 0 < waits.sum <= asyncio.get_running_loop().time() - began
