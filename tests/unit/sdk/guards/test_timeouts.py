"""A timeout that follows what calls take."""

import asyncio
import random
import time

import pytest

from workerpool import CallTimeout, ConfigurationError
from workerpool.guards.timeouts import CALLS, LEAST_CALLS


def learned(*seconds: float, most: float = 10.0, least: float = 0.1) -> CallTimeout:
    timeout = CallTimeout(most=most, least=least)
    for one in seconds:
        timeout.took(one)
    return timeout


def test_the_declared_one_holds_while_few_calls_are_known() -> None:
    assert learned(*[0.2] * (LEAST_CALLS - 1)).seconds == 10.0
    assert learned(*[0.2] * LEAST_CALLS).seconds == 0.4


def test_it_is_twice_the_99th_percentile() -> None:
    took = [number / 100 for number in range(1, 101)]
    random.Random(1).shuffle(took)
    assert learned(*took).seconds == pytest.approx(2 * 0.99)


def test_it_stays_within_its_bounds() -> None:
    assert learned(*[0.001] * 100).seconds == 0.1
    assert learned(*[9.0] * 100).seconds == 10.0


def test_a_downstream_that_becomes_slower_for_good_is_waited_for_again() -> None:
    """Each call runs into the timeout first, and counts with that."""
    timeout = learned(*[0.1] * CALLS)
    refused = 0
    while timeout.seconds < 1.0:
        refused += 1
        timeout.took(min(1.0, timeout.seconds))
    assert refused <= 100
    for _ in range(CALLS):
        timeout.took(0.1)
    assert timeout.seconds == pytest.approx(0.2), "and it comes back"


@pytest.mark.looptime
async def test_a_call_that_hangs_is_given_up_at_twice_what_calls_take(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    monkeypatch.setattr("workerpool.guards.timeouts.monotonic", loop.time)
    timeout = CallTimeout(most=60)
    for _ in range(LEAST_CALLS):
        async with timeout.limit():
            await asyncio.sleep(0.5)
    began = loop.time()
    with pytest.raises(TimeoutError):
        async with timeout.limit():
            await asyncio.sleep(1000)
    assert loop.time() - began == pytest.approx(1.0, abs=0.01)


def test_what_fails_at_once_says_nothing() -> None:
    timeout = learned(*[1.0] * LEAST_CALLS)

    def fails() -> None:
        with timeout.watch() as seconds:
            assert seconds == 2.0
            raise ConnectionError("refused")

    for _ in range(1000):
        with pytest.raises(ConnectionError):
            fails()
    assert timeout.seconds == 2.0


@pytest.mark.parametrize("error", [TimeoutError, ConnectionError])
def test_a_timeout_of_the_calls_own_counts_with_the_whole_of_it(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its name, or by the time: libraries have exceptions of their own."""
    now = [0.0]
    monkeypatch.setattr("workerpool.guards.timeouts.monotonic", lambda: now[0])
    timeout = learned(*[1.0] * LEAST_CALLS)

    def hangs() -> None:
        with timeout.watch() as seconds:
            now[0] += seconds
            raise error

    for _ in range(20):
        with pytest.raises(error):
            hangs()
    assert timeout.seconds == 4.0


def test_learning_costs_little() -> None:
    timeout, began = CallTimeout(most=1), time.process_time()
    for _ in range(10_000):
        timeout.took(0.1)
    assert time.process_time() - began < 1.0


@pytest.mark.parametrize(("most", "least"), [(0, 0.1), (1, 2), (1, 0)])
def test_bounds_that_make_no_sense_are_refused(most: float, least: float) -> None:
    with pytest.raises(ConfigurationError):
        CallTimeout(most=most, least=least)
