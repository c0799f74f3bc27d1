"""Work on a thread and an event loop of its own, for what has to answer while the operator's loop is busy."""

import asyncio
import threading
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Final

_END_SECONDS: Final = 5.0


async def in_own_thread(work: Coroutine[Any, Any, None], *, name: str) -> None:
    """Run `work` to its end on another thread; its exception is raised here.

    When this is cancelled so is the work, which then has some seconds to end.
    """
    home = asyncio.get_running_loop()
    loop = asyncio.new_event_loop()
    task = loop.create_task(work, name=name)
    ended = asyncio.Event()

    def body() -> None:
        try:
            with suppress(BaseException):  # the task keeps it
                loop.run_until_complete(task)
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor())
        finally:
            loop.close()
            with suppress(RuntimeError):  # nobody waits any more: the operator's loop is closed
                home.call_soon_threadsafe(ended.set)

    # A daemon: work that does not end keeps no process alive.
    threading.Thread(target=body, name=name, daemon=True).start()
    try:
        await ended.wait()
    except asyncio.CancelledError:
        with suppress(RuntimeError):  # it has ended by itself
            loop.call_soon_threadsafe(task.cancel)
        with suppress(TimeoutError):
            async with asyncio.timeout(_END_SECONDS):
                await ended.wait()
        raise
    task.result()
