"""How jobs came survives the collector: the operator gives it to the next one, which forecasts from it at once."""

import time
from pathlib import Path

import pytest

from tests.component.streams.ends import NAMESPACE, both_ends
from tests.support.redis import RedisServer
from tests.support.waiting import until
from tests.unit.forecast.courses import days
from tests.unit.serve.test_state import Link
from workerpool import Queue
from workerpool_operator.forecast import Course
from workerpool_operator.protocol import Arrivals, CourseReport, PastArrivals, PoolConfig, Predictive
from workerpool_operator.serve.state import Peer

pytestmark = [pytest.mark.component, pytest.mark.redis]
EARLIER = Peer(namespace=NAMESPACE, pod="collector-0")


def config(server: RedisServer, stream: str, *, season: int) -> PoolConfig:
    redis = {"url": server.url, "stream": stream, "group": stream}
    wanted = Predictive(season_seconds=season, horizon_seconds=season // 4)
    return PoolConfig(name="web", uid="u", queues=({"name": "main", "redisStream": redis},), predictive=wanted)


def told(course: Course) -> Arrivals:
    report = CourseReport(width_seconds=course.width, first=course.first, rates=course.rates)
    return Arrivals(pool="web", course=report)


async def test_a_new_collector_forecasts_from_what_the_one_before_it_counted(
    tmp_path: Path, redis_server: RedisServer, redis_stream: str
) -> None:
    """Three days, told by a collector that is gone, come back by the stream, and with them a forecast."""
    now = int(time.time() / 300)
    past = days(3, first=now - 3 * 288)
    async with both_ends(tmp_path / "ends") as ends:
        ends.state.receive(EARLIER, told(past))
        assert ends.state.view(NAMESPACE, "web").forecast is not None
        ends.lead(config(redis_server, redis_stream, season=86_400))

        def forecast() -> bool:
            found = ends.state.view(NAMESPACE, "web").forecast
            return found is not None and found.rate is not None and found.rate > 0

        await until(forecast, what="a forecast")


async def test_a_collector_counts_what_comes_to_a_real_queue_and_tells_it_by_the_bin(
    tmp_path: Path, redis_server: RedisServer, redis_stream: str
) -> None:
    """Bins of four seconds here. A second operator, which knows nothing, is told all of it when the first is gone."""
    pool = config(redis_server, redis_stream, season=4 * 288)
    async with both_ends(tmp_path / "ends") as ends, Queue.connect(redis_server.url, stream=redis_stream) as queue:
        ends.lead(pool)

        def rates() -> list[float | None]:
            ends.state.attach(EARLIER, link := Link())
            ends.state.detach(EARLIER, link)
            return [rate for past in link.of(PastArrivals) for rate in past.course.rates]

        async def counted() -> bool:
            await queue.enqueue("any", {})
            return any(rate for rate in rates() if rate is not None)

        await until(counted, what="a bin with jobs in it")
        await ends.stop_operator()
        await ends.start_operator(ends.new_state())
        ends.lead(pool)
        await until(lambda: any(rate for rate in rates() if rate is not None), what="the course, told again")
