"""`sys.exit` in one of the tasks of a worker's event loop.

A handler that calls it fails like any other. In a task that a handler has started asyncio hands it to that task, and on
to whoever runs the loop: without a drain the worker would end by it, with all of its jobs. Nothing else is broken then.
The loop has stopped between two of its steps, and goes on where it was.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T], *, log: Any) -> T:
    """As `asyncio.run`, but of all `SystemExit` only that of `main` ends it.

    Raises:
        BaseException: what `main` raised.
    """
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        task = loop.create_task(main)
        while True:
            try:
                return loop.run_until_complete(task)
            except SystemExit as error:
                if task.done():
                    return task.result()
                log.warning("sys.exit in a task ends that task, and not the worker", exc_info=error)
