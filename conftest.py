"""What holds for every test run, whatever folder it starts in."""

import asyncio


def pytest_configure() -> None:
    """Say that there is no current event loop.

    Else the looptime plugin, asking for one before each synchronous test, makes Python 3.11 to 3.13 create a loop that
    nobody closes; its ResourceWarning then fails whichever test the garbage collector happens to run in.
    """
    asyncio.set_event_loop(None)
