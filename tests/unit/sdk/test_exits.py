"""`sys.exit` in a task ends that task, and not the worker's event loop."""

import asyncio
import sys

import pytest
import structlog

from workerpool.runtime.exits import run

LOG = structlog.get_logger()


async def leave(status: int) -> None:
    sys.exit(status)


def test_the_loop_goes_on_and_who_waits_for_the_task_is_told() -> None:
    async def main() -> list[object]:
        steps: list[object] = []
        soon = [asyncio.create_task(leave(number)) for number in (1, 2)]
        beside = asyncio.get_running_loop().call_soon(steps.append, "what was ready with them")
        for task in soon:
            try:
                await task
            except SystemExit as error:
                steps.append(error.code)
        assert not beside.cancelled()
        return steps

    assert run(main(), log=LOG) == ["what was ready with them", 1, 2]


def test_what_the_main_task_raises_ends_it() -> None:
    with pytest.raises(SystemExit) as ended:
        run(leave(3), log=LOG)
    assert ended.value.code == 3

    async def fail() -> None:
        raise KeyError("a bug")

    with pytest.raises(KeyError):
        run(fail(), log=LOG)


def test_what_still_runs_is_cancelled_in_the_end() -> None:
    ended = []

    async def long() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    async def main() -> int:
        asyncio.create_task(long()).add_done_callback(lambda _task: None)
        await asyncio.sleep(0)
        return 4

    assert run(main(), log=LOG) == 4
    assert ended == [True]
