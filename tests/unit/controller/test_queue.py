"""Keys are handled one at a time, none is forgotten, and one that fails hurts no other."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from functools import partial
from itertools import pairwise

import pytest

from workerpool.testing import Simulation, simulate
from workerpool_operator.controller import queue as queue_module
from workerpool_operator.controller.queue import Key, Outcome, WorkQueue


class Metrics:
    def queue_depth(self, depth: int) -> None:
        assert depth >= 0

    def queue_waited(self, seconds: float) -> None:
        assert seconds >= 0


async def always() -> None:
    return


async def play(
    handle: Callable[[Key], Awaitable[Outcome]],
    act: Callable[[WorkQueue], Awaitable[None]],
    *,
    gate: Callable[[], Awaitable[None]] = always,
) -> None:
    queue = WorkQueue(handle, gate=gate, metrics=Metrics(), workers=4)
    task = asyncio.create_task(queue.run())
    try:
        async with asyncio.timeout(10):
            await act(queue)
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def in_played_time(scenario: Coroutine[None, None, None], simulation: Simulation) -> None:
    """So that what is measured is the queue's, and not what else the machine does."""
    task = asyncio.create_task(scenario)
    await simulation.until(task.done)
    await task


async def test_keys_whose_looks_wait_for_nothing_leave_others_their_turns() -> None:
    """5,000 of a new leader kept the loop for longer than the Lease holds; renewed in between, it stays."""
    handled: list[Key] = []
    seen: list[int] = []

    async def handle(key: Key) -> Outcome:
        handled.append(key)
        return Outcome()

    async def renew() -> None:
        while len(handled) < 100:
            seen.append(len(handled))
            await asyncio.sleep(0)

    async def act(queue: WorkQueue) -> None:
        for key in range(100):
            queue.mark(key)
        await renew()

    await play(handle, act)
    assert max(after - before for before, after in pairwise([*seen, 100])) <= 4, "each of 4 workers once"


async def test_marking_a_due_key_again_changes_nothing() -> None:
    handled: Counter[Key] = Counter()
    done = asyncio.Event()

    async def handle(key: Key) -> Outcome:
        handled[key] += 1
        if key == "last":
            done.set()
        return Outcome()

    async def act(queue: WorkQueue) -> None:
        for _ in range(5):
            queue.mark("a")
        queue.mark("last")
        await done.wait()

    await play(handle, act)
    assert handled["a"] == 1


async def test_a_change_during_a_run_leads_to_another_run_and_never_to_two_at_once() -> None:
    running = 0
    runs = 0
    started, go_on, again = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def handle(_: Key) -> Outcome:
        nonlocal running, runs
        running += 1
        runs += 1
        assert running == 1
        started.set()
        if runs == 1:
            await go_on.wait()
        else:
            again.set()
        running -= 1
        return Outcome()

    async def act(queue: WorkQueue) -> None:
        queue.mark("a")
        await started.wait()
        queue.mark("a")
        queue.mark("a")
        go_on.set()
        await again.wait()

    await play(handle, act)
    assert runs == 2


async def test_a_slow_key_does_not_hold_up_the_others() -> None:
    forever, other = asyncio.Event(), asyncio.Event()

    async def handle(key: Key) -> Outcome:
        if key == "slow":
            await forever.wait()
        other.set()
        return Outcome()

    async def act(queue: WorkQueue) -> None:
        queue.mark("slow")
        queue.mark("other")
        await other.wait()

    await play(handle, act)


async def test_a_crash_is_tried_again_with_backoff() -> None:
    attempts: list[float] = []
    enough = asyncio.Event()

    async def handle(_: Key) -> Outcome:
        attempts.append(asyncio.get_running_loop().time())
        if len(attempts) == 3:
            enough.set()
            return Outcome()
        raise RuntimeError("a fault")

    async def act(queue: WorkQueue) -> None:
        queue.mark("a")
        await enough.wait()

    await play(handle, act)
    assert attempts[1] - attempts[0] >= 0.1
    assert attempts[2] - attempts[1] >= 0.2


async def test_a_key_comes_back_when_it_asked_to() -> None:
    runs = 0
    twice = asyncio.Event()

    async def handle(_: Key) -> Outcome:
        nonlocal runs
        runs += 1
        if runs == 2:
            twice.set()
        return Outcome(look_again=0.05)

    async def act(queue: WorkQueue) -> None:
        queue.mark("a")
        await twice.wait()

    await play(handle, act)


async def test_the_nearest_timer_counts_and_only_once() -> None:
    handled: list[Key] = []
    first, marker = asyncio.Event(), asyncio.Event()

    async def handle(key: Key) -> Outcome:
        handled.append(key)
        (marker if key == "marker" else first).set()
        return Outcome()

    async def act(queue: WorkQueue) -> None:
        queue.mark_after("a", seconds=0.2)
        queue.mark_after("a", seconds=0.02)
        await first.wait()
        queue.mark_after("marker", seconds=0.3)
        await marker.wait()

    await play(handle, act)
    assert handled == ["a", "marker"]


async def test_nothing_starts_behind_a_closed_gate_and_all_is_there_when_it_opens() -> None:
    opened = asyncio.Event()
    handled: list[Key] = []
    all_done = asyncio.Event()

    async def gate() -> None:
        await opened.wait()

    async def handle(key: Key) -> Outcome:
        assert opened.is_set()
        handled.append(key)
        if len(handled) == 10:
            all_done.set()
        return Outcome()

    async def act(queue: WorkQueue) -> None:
        for number in range(10):
            queue.mark(number)
        for _ in range(10):
            await asyncio.sleep(0)
        assert not handled
        opened.set()
        await all_done.wait()

    await play(handle, act, gate=gate)
    assert sorted(map(str, handled)) == [str(number) for number in range(10)]


def test_what_was_due_before_this_replica_led_has_not_waited_for_it() -> None:
    """An hour of standby is no wait."""
    waited: list[float] = []

    class Clock(Metrics):
        def queue_waited(self, seconds: float) -> None:
            waited.append(seconds)

    async def scenario() -> None:
        opened, done = asyncio.Event(), asyncio.Event()

        async def handle(_: Key) -> Outcome:
            done.set()
            return Outcome()

        async def gate() -> None:
            await opened.wait()

        queue = WorkQueue(handle, gate=gate, metrics=Clock())
        task = asyncio.create_task(queue.run())
        queue.mark("a")
        await asyncio.sleep(3600)
        queue.begin()
        opened.set()
        await done.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    simulate(partial(in_played_time, scenario()))
    assert waited == [pytest.approx(0, abs=0.1)]


def test_news_of_a_key_that_keeps_failing_waits_for_the_pause_after_a_failure() -> None:
    attempts: list[float] = []

    async def handle(_: Key) -> Outcome:
        attempts.append(asyncio.get_running_loop().time())
        return Outcome(failed=True)

    async def act(queue: WorkQueue) -> None:
        for _ in range(200):
            queue.mark("a")
            await asyncio.sleep(0.005)

    simulate(partial(in_played_time, play(handle, act)))
    # Pauses of 0.1 s at least, then 0.2 s, 0.4 s, ...: never one attempt for each piece of news.
    assert 2 <= len(attempts) <= 6
    assert all(later - earlier >= 0.1 for earlier, later in pairwise(attempts))


async def test_what_time_decides_is_looked_at_in_time_although_the_key_keeps_failing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After the pause that every failing key makes, and not after a backoff that may be a minute."""
    monkeypatch.setattr(queue_module, "FAILED_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(queue_module, "BACKOFF_FIRST_SECONDS", 60.0)
    attempts, often = 0, asyncio.Event()

    async def handle(_: Key) -> Outcome:
        nonlocal attempts
        attempts += 1
        if attempts == 3:
            often.set()
        return Outcome(look_again=0.02, failed=True)

    async def act(queue: WorkQueue) -> None:
        queue.mark("a")
        await often.wait()

    await play(handle, act)


def test_a_key_that_was_mended_is_taken_up_at_once_again() -> None:
    attempts = 0
    mended, again = asyncio.Event(), asyncio.Event()

    async def handle(_: Key) -> Outcome:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            return Outcome(failed=True)
        (again if mended.is_set() else mended).set()
        return Outcome()

    async def act(queue: WorkQueue) -> None:
        queue.mark("a")
        await mended.wait()
        started = asyncio.get_running_loop().time()
        queue.mark("a")
        await again.wait()
        assert asyncio.get_running_loop().time() - started < 0.1

    simulate(partial(in_played_time, play(handle, act)))
