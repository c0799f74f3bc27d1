"""The bulkhead: who may call, who waits, and that no turn is lost however a wait ends."""

import asyncio
import threading
import time

import pytest

from tests.support.waiting import until
from workerpool import ConfigurationError, EndpointBusy, Worker
from workerpool.guards.endpoint import Endpoint


def endpoint(at_most: int = 1, timeout: float = 5.0) -> Endpoint:
    return Worker(env={}).endpoint("crm", at_most=at_most, timeout=timeout)


class Calls:
    """How many call at a time, and in which order they came in."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.now = self.most = 0
        self._lock = threading.Lock()
        self.order: list[int] = []

    async def call(self, number: int, seconds: float = 0.0) -> None:
        async with self.endpoint:
            self._enter(number)
            await asyncio.sleep(seconds)
            self._leave()

    def call_in_thread(self, number: int) -> None:
        with self.endpoint:
            self._enter(number)
            time.sleep(0.001)
            self._leave()

    def _enter(self, number: int) -> None:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
            self.order.append(number)

    def _leave(self) -> None:
        with self._lock:
            self.now -= 1


@pytest.mark.looptime
async def test_no_more_than_may_call_at_a_time_in_the_order_in_which_they_came() -> None:
    calls = Calls(endpoint(3))
    await asyncio.gather(*(calls.call(number, 0.1) for number in range(20)))
    assert (calls.most, calls.order) == (3, list(range(20)))
    figures = calls.endpoint.figures
    assert (figures.waited, sum(figures.wait.counts)) == (17, 20)


@pytest.mark.looptime
async def test_who_waits_too_long_is_told_and_takes_no_turn_with_him() -> None:
    calls = Calls(endpoint(1, timeout=0.5))
    long = asyncio.create_task(calls.call(0, 1.0))
    await asyncio.sleep(0)
    with pytest.raises(EndpointBusy, match="crm"):
        await calls.call(1)
    await long
    await calls.call(2)
    assert calls.order == [0, 2]


@pytest.mark.looptime
async def test_a_wait_that_is_cancelled_takes_no_turn_with_it() -> None:
    """Also when the turn comes in the same moment."""
    calls = Calls(endpoint(1))
    for both in (False, True):
        long = asyncio.create_task(calls.call(0, 0.1))
        await asyncio.sleep(0)
        waiting = asyncio.create_task(calls.call(1))
        await asyncio.sleep(0.05)
        if both:
            long.cancel()
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(long, waiting, return_exceptions=True)
        calls.now = 0
        await calls.call(2)
    assert calls.order[-1] == 2


def test_a_handler_that_fails_gives_its_turn_back() -> None:
    one = endpoint(1)
    for _ in range(3):
        with pytest.raises(ValueError, match="no"), one:
            raise ValueError("no")


async def test_threads_and_the_event_loop_share_the_bound() -> None:
    calls = Calls(endpoint(2, timeout=60))
    threads = [threading.Thread(target=calls.call_in_thread, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    await asyncio.gather(*(calls.call(100 + number, 0.001) for number in range(20)))

    async def over() -> bool:
        return not any(thread.is_alive() for thread in threads)

    await until(over, what="all threads through")
    assert (len(calls.order), calls.most) == (40, 2)


def test_a_thread_that_waits_too_long_is_told_and_takes_no_turn_with_it() -> None:
    one = endpoint(1, timeout=0.01)
    with one, pytest.raises(EndpointBusy):
        one.__enter__()
    with one:
        pass


async def test_a_wait_that_would_stop_the_event_loop_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="async with"), endpoint():
        pass


def test_each_name_is_given_once_and_bounds_are_possible() -> None:
    worker = Worker(env={})
    worker.endpoint("crm", at_most=1)
    with pytest.raises(ConfigurationError, match="already"):
        worker.endpoint("crm", at_most=1)
    with pytest.raises(ConfigurationError, match="at_most"):
        worker.endpoint("other", at_most=0)
