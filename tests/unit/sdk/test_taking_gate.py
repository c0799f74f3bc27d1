"""The gate before libraries that take by calls in an event loop."""

import asyncio
from collections.abc import Callable

import pytest

from workerpool.adapters.taking import TakingGate, acknowledge


class _Paused:
    def __init__(self, gate: TakingGate, *, reasons: int = 1) -> None:
        self.times = 0
        for _ in range(reasons):
            gate.pause(self.said)

    def said(self) -> None:
        self.times += 1


async def _turn() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_it_is_paused_at_once_when_no_call_is_under_way() -> None:
    gate = TakingGate()
    paused = _Paused(gate)
    await _turn()
    assert paused.times == 1


async def test_a_call_under_way_is_waited_for_and_the_next_one_waits() -> None:
    gate = TakingGate()
    assert await gate.enter()
    paused = _Paused(gate)
    await _turn()
    assert paused.times == 0
    next_call = asyncio.create_task(gate.enter())
    gate.leave()
    await _turn()
    assert (paused.times, next_call.done()) == (1, False)
    gate.resume()
    assert await next_call


async def test_who_waits_when_it_is_over_goes_on_without_a_call() -> None:
    gate = TakingGate()
    paused = _Paused(gate)
    waiting = asyncio.create_task(gate.enter())
    await _turn()
    gate.end()
    assert not await waiting
    assert not await gate.enter()
    assert paused.times == 1


async def test_a_pause_that_is_asked_for_when_it_is_over_is_in_force() -> None:
    gate = TakingGate()
    gate.end()
    paused = _Paused(gate)
    await _turn()
    assert paused.times == 1


@pytest.mark.parametrize("ask", [lambda gate: gate.pause(lambda: None), TakingGate.resume])
def test_a_library_whose_loop_has_ended_breaks_nobody(ask: Callable[[TakingGate], None]) -> None:
    async def make() -> TakingGate:
        return TakingGate()

    ask(asyncio.run(make()))


class _Broker:
    def __init__(self, *, fails: int) -> None:
        self.fails, self.asked = fails, 0

    async def acknowledge(self) -> str:
        self.asked += 1
        if self.asked <= self.fails:
            raise ConnectionError(self.asked)
        return "acknowledged"


async def test_what_fails_on_an_old_connection_is_said_again() -> None:
    broker = _Broker(fails=2)
    assert await acknowledge(broker.acknowledge) == "acknowledged"


async def test_what_fails_for_good_is_raised() -> None:
    broker = _Broker(fails=5)
    with pytest.raises(ConnectionError, match="3"):
        await acknowledge(broker.acknowledge)
    assert broker.asked == 3
