"""The gate that the fence closes, and the slots that intakes share."""

import asyncio

import pytest

from workerpool.runtime.gate import Gate
from workerpool.runtime.slots import Slots


async def nothing() -> None:
    pass


async def test_nobody_enters_a_closed_gate() -> None:
    gate = Gate()
    assert gate.enter()
    gate.leave()
    await gate.close("fence")
    assert not gate.enter()
    assert gate.reasons == {"fence"}
    gate.open("fence")
    assert gate.enter()


async def test_closing_is_complete_only_when_nobody_is_inside() -> None:
    gate, interrupted = Gate(), []

    async def interrupt() -> None:
        interrupted.append(True)

    gate.on_close(interrupt)
    assert gate.enter()
    closing = asyncio.create_task(gate.close("fence"))
    for _ in range(5):
        await asyncio.sleep(0)
    assert interrupted
    assert not closing.done()
    gate.leave()
    await closing


async def test_who_is_inside_stays_when_the_gate_is_shut() -> None:
    gate = Gate()
    assert gate.enter()
    gate.shut("alone")
    assert not gate.enter()
    closing = asyncio.create_task(gate.close("alone"))
    await asyncio.sleep(0)
    assert not closing.done()
    gate.leave()
    await closing


async def test_nobody_is_waited_for_when_the_reason_is_gone() -> None:
    """Else who waits would interrupt one take after the other that comes in again."""
    gate = Gate()
    assert gate.enter()
    gate.shut("alone")
    waiting = asyncio.create_task(gate.emptied("alone"))
    await asyncio.sleep(0)
    gate.open("alone")
    gate.leave()
    assert gate.enter()
    async with asyncio.timeout(10):
        await waiting


async def test_a_gate_closed_twice_needs_both_reasons_gone() -> None:
    gate = Gate()
    await gate.close("fence")
    await gate.close("drain")
    gate.open("fence")
    assert not gate.enter()
    gate.open("drain")
    await gate.wait_open()
    assert gate.enter()


async def test_one_intake_may_reserve_all_slots() -> None:
    slots = Slots(5, intakes=1)
    assert await slots.reserve() == 5
    slots.release(2)
    assert await slots.reserve() == 2


async def test_an_intake_waits_for_a_slot() -> None:
    slots = Slots(1, intakes=1)
    await slots.reserve()
    waiting = asyncio.create_task(slots.reserve())
    await asyncio.sleep(0)
    assert slots.contended
    slots.release(1)
    assert await waiting == 1
    assert not slots.contended


async def test_a_wait_that_was_given_up_in_the_moment_of_its_turn_ends_like_any_other() -> None:
    slots = Slots(1, intakes=1)
    await slots.reserve()
    waiting = asyncio.create_task(slots.reserve())
    await asyncio.sleep(0)
    waiting.cancel()
    slots.release(1)
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await slots.reserve() == 1


async def test_intakes_hold_no_more_than_their_share() -> None:
    slots = Slots(5, intakes=2)
    assert await slots.reserve() == 3
    assert await slots.reserve() == 2


async def test_whoever_finds_none_has_the_idle_interrupted() -> None:
    slots, interrupted = Slots(2, intakes=2), asyncio.Event()

    async def interrupt() -> None:
        interrupted.set()

    slots.on_starved(interrupt)
    assert await slots.reserve() == 1
    assert await slots.reserve() == 1
    waiting = asyncio.create_task(slots.reserve())
    await asyncio.wait_for(interrupted.wait(), 60)
    slots.release(1)
    assert await waiting == 1


async def test_while_others_wait_everyone_gets_one_in_turn() -> None:
    slots = Slots(4, intakes=2)
    await slots.reserve()
    await slots.reserve()
    first, second = asyncio.create_task(slots.reserve()), asyncio.create_task(slots.reserve())
    await asyncio.sleep(0)
    slots.release(1)
    assert await first == 1
    assert not second.done()
    slots.release(2)
    assert await second == 2


@pytest.mark.parametrize("granted", [False, True])
async def test_a_cancelled_wait_loses_no_slot(*, granted: bool) -> None:
    slots = Slots(1, intakes=1)
    await slots.reserve()
    waiting = asyncio.create_task(slots.reserve())
    await asyncio.sleep(0)
    if granted:
        slots.release(1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    if not granted:
        slots.release(1)
    assert await asyncio.wait_for(slots.reserve(), 60) == 1


async def test_fewer_slots_than_are_in_use_are_given_back_as_they_come_free() -> None:
    slots = Slots(5, intakes=1)
    assert await slots.reserve() == 5
    slots.resize(2)
    waiting = asyncio.create_task(slots.reserve())
    slots.release(3)
    await asyncio.sleep(0)
    assert not waiting.done()
    slots.release(1)
    assert await waiting == 1
    slots.resize(4)
    assert await slots.reserve() == 2


async def test_a_take_that_waits_with_more_slots_than_there_are_left_is_interrupted() -> None:
    slots, interrupted = Slots(5, intakes=1), asyncio.Event()

    async def interrupt() -> None:
        interrupted.set()

    slots.on_starved(interrupt)
    await slots.reserve()
    slots.resize(5)
    await asyncio.sleep(0)
    assert not interrupted.is_set()
    slots.resize(4)
    async with asyncio.timeout(60):
        await interrupted.wait()
