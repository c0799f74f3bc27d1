"""The feeder keeps to its schedule whatever the broker does. Time is virtual (looptime)."""

import asyncio
from collections.abc import Sequence

import pytest

from workerpool.broker import BrokerUnavailable, NewJob
from workerpool_operator.cli.load import feeder as feeder_module
from workerpool_operator.cli.load.feeder import BATCH, GIVE_UP_SECONDS, Feeder
from workerpool_operator.cli.load.schedule import Schedule, burst, steady

pytestmark = pytest.mark.looptime


class SlowBroker:
    """Takes `seconds` for each call, and refuses while `refuse_until` lies ahead."""

    def __init__(self, *, seconds: float = 0.0, refuse_until: float = 0.0) -> None:
        self.calls: list[list[str]] = []
        self.seconds = seconds
        self.refuse_until = refuse_until

    async def put(self, jobs: Sequence[NewJob], *, max_depth: int | None = None) -> int:
        await asyncio.sleep(self.seconds)
        self.calls.append([job.job_id for job in jobs])
        if asyncio.get_running_loop().time() < self.refuse_until:
            raise BrokerUnavailable("away")
        return len(jobs)


@pytest.fixture(autouse=True)
def virtual_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The feeder's clock is the loop's."""

    class Clock:
        @staticmethod
        def monotonic() -> float:
            return asyncio.get_running_loop().time()

    monkeypatch.setattr(feeder_module, "time", Clock)


def a_feeder(schedule: Schedule) -> Feeder:
    return Feeder(
        schedule=schedule, job=lambda n: NewJob(type="t", payload=b"{}", job_id=str(n)), on_sent=lambda *_: None
    )


async def test_jobs_are_sent_one_by_one_when_they_are_due() -> None:
    broker, feeder = SlowBroker(), a_feeder(steady(rate=2, jobs=4))
    await feeder.run(broker)
    assert broker.calls == [["0"], ["1"], ["2"], ["3"]]
    assert feeder.lags == pytest.approx([0, 0, 0, 0])
    assert feeder.sent == 4


async def test_a_slow_broker_changes_no_due_time_and_shows_as_lag() -> None:
    broker, feeder = SlowBroker(seconds=1.0), a_feeder(steady(rate=2, jobs=4))
    await feeder.run(broker)
    # Job 0 arrives at 1.0. By then 1 and 2 are due (0.5, 1.0); both arrive at 2.0, and so on.
    assert broker.calls == [["0"], ["1", "2"], ["3"]]
    assert feeder.lags == pytest.approx([1.0, 1.5, 1.0, 1.5])


async def test_a_burst_goes_out_in_bounded_batches() -> None:
    broker, feeder = SlowBroker(), a_feeder(burst(jobs=BATCH + 1))
    await feeder.run(broker)
    assert [len(call) for call in broker.calls] == [BATCH, 1]


async def test_a_refused_batch_is_sent_again_with_the_same_ids() -> None:
    broker, feeder = SlowBroker(refuse_until=1.2), a_feeder(burst(jobs=2))
    await feeder.run(broker)
    assert broker.calls == [["0", "1"]] * 4
    assert feeder.retries == 3
    assert feeder.lags == pytest.approx([1.5, 1.5])


async def test_a_broker_that_stays_away_ends_the_load() -> None:
    broker, feeder = SlowBroker(refuse_until=1e9), a_feeder(burst(jobs=2))
    with pytest.raises(BrokerUnavailable):
        await feeder.run(broker)
    assert asyncio.get_running_loop().time() == pytest.approx(GIVE_UP_SECONDS, abs=1)
    assert feeder.sent == 0


async def test_what_is_sent_again_is_counted() -> None:
    """A broker that drops no duplicates may have had it: then it is there twice."""
    broker, feeder = SlowBroker(refuse_until=0.7), a_feeder(burst(jobs=3))
    await feeder.run(broker)
    assert (feeder.retries, feeder.repeated) == (2, 6)


async def test_stop_hears_the_answer_of_the_broker_and_sends_no_more() -> None:
    broker, feeder = SlowBroker(seconds=1.0), a_feeder(steady(rate=2, jobs=100))
    running = asyncio.create_task(feeder.run(broker))
    await asyncio.sleep(0.3)
    feeder.stop()
    await running
    assert (broker.calls, feeder.sent) == ([["0"]], 1)


async def test_stop_ends_a_wait_for_the_next_job_at_once() -> None:
    broker, feeder = SlowBroker(), a_feeder(steady(rate=0.01, jobs=2))
    running = asyncio.create_task(feeder.run(broker))
    await asyncio.sleep(5)
    feeder.stop()
    await running
    assert asyncio.get_running_loop().time() == pytest.approx(5, abs=0.1)
    assert feeder.sent == 1


async def test_stop_does_not_wait_for_a_broker_that_is_away() -> None:
    broker, feeder = SlowBroker(refuse_until=1e9), a_feeder(burst(jobs=2))
    running = asyncio.create_task(feeder.run(broker))
    await asyncio.sleep(1.2)
    feeder.stop()
    with pytest.raises(BrokerUnavailable):
        await running
    assert asyncio.get_running_loop().time() == pytest.approx(1.2, abs=0.1)
    assert feeder.sent == 0
