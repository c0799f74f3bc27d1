"""How workers come back to a broker that was away: the clock is looptime's."""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass
from typing import cast

import pytest

from workerpool.broker import Broker
from workerpool.runtime.comeback import SPREAD_SECONDS, Comeback

pytestmark = pytest.mark.looptime


@dataclass
class Connections:
    """Of one worker, to a broker that may be there or not."""

    connected: bool = True
    lease_seconds: float = 60.0


def comeback(connections: Connections, seed: int = 0) -> Comeback:
    return Comeback(cast("Broker", connections), chance=random.Random(seed).random)


def now() -> float:
    return asyncio.get_running_loop().time()


async def back_at(returns: float, *, seed: int, hurried: bool = False, lease: float = 60.0) -> float:
    """When a worker is back whose broker is gone from now until `returns`."""
    one = comeback(Connections(connected=False, lease_seconds=lease), seed)
    if hurried:
        one.hurry()
    while now() < returns:
        one.failed()
        await one.turn()
    return now()


@pytest.mark.parametrize("outage", [0.001, 0.3, 3, 12])
async def test_50_workers_are_back_over_five_seconds_and_no_second_has_three_times_the_mean(outage: float) -> None:
    began = now()
    for fleet in range(2):
        back = await asyncio.gather(*(back_at(began + outage, seed=100 * fleet + n) for n in range(50)))
        spread = max(back) - min(back)
        assert 5 <= spread <= SPREAD_SECONDS + 0.2
        seconds = Counter(int(at - min(back)) for at in back)
        assert max(seconds.values()) <= 3 * 50 / spread
        assert min(back) - began - outage < 2
        began = now()


async def test_who_lost_one_connection_of_two_does_not_wait() -> None:
    began, one = now(), comeback(Connections(connected=True))
    one.failed()
    await one.turn()
    assert now() - began <= 0.2


async def test_a_broker_that_answers_with_errors_is_asked_less_and_less_often_up_to_five_seconds() -> None:
    one, pauses = comeback(Connections(connected=True)), list[float]()
    for _ in range(20):
        began = now()
        one.failed()
        await one.turn()
        pauses.append(now() - began)
    assert pauses[1] < 0.5
    assert all(1.25 <= pause <= 5 for pause in pauses[8:])


async def test_a_call_that_is_refused_makes_no_other_one_wait() -> None:
    one, began = comeback(Connections(connected=True)), now()
    refused = asyncio.create_task(one.refused(9))
    await one.turn()
    assert now() == began
    await refused
    assert 1.25 <= now() - began <= 5


async def test_who_leaves_tries_soon_what_was_refused() -> None:
    one, began = comeback(Connections(connected=True)), now()
    refused = asyncio.create_task(one.refused(9))
    await asyncio.sleep(0.1)
    one.hurry()
    await refused
    assert now() - began == pytest.approx(0.1)
    await one.refused(9)
    assert 0.25 <= now() - began - 0.1 <= 1


async def test_calls_that_fail_together_are_one_try_and_wait_for_the_same_moment() -> None:
    one, began = comeback(Connections(connected=False)), now()

    async def call() -> float:
        one.failed()
        await one.turn()
        return now() - began

    assert len({*await asyncio.gather(*(call() for _ in range(4)))}) == 1


async def test_after_success_or_a_long_time_a_failure_is_the_first_one() -> None:
    connections = Connections(connected=False)
    one = comeback(connections)
    one.failed()
    await one.turn()
    one.worked()
    assert one._tries == 0
    one.failed()
    await one.turn()
    one.failed()
    await one.turn()
    await asyncio.sleep(60)
    connections.connected, began = True, now()
    one.failed()
    await one.turn()
    assert now() - began <= 0.2


async def test_who_leaves_does_not_wait_for_its_turn() -> None:
    returns = now() + 3
    assert await back_at(returns, seed=1, hurried=True) - returns <= 1
    one = comeback(Connections(connected=False))
    one.failed()
    waiting = asyncio.create_task(one.turn())
    await asyncio.sleep(0.3)  # it is told that the broker is gone
    began = now()
    one.hurry()
    await waiting
    assert now() == began
    one.failed()
    await one.turn()
    assert now() - began <= 1


async def test_a_short_lease_is_extended_in_time() -> None:
    began = now()
    back = await asyncio.gather(*(back_at(began + 0.3, seed=seed, lease=6.0) for seed in range(50)))
    assert max(back) - began < 0.3 + 2.2
