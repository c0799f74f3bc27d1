"""What holds for every test run, whatever folder it starts in."""

import asyncio
import os
import signal

from hypothesis import settings

settings.register_profile("house", deadline=None, derandomize="CI" in os.environ, print_blob=True)


def pytest_configure() -> None:
    """Take three sources of chance away: the speed of the machine, a loop that nobody closes, and who runs the tests.

    Hypothesis fails an example that takes 200 ms, which says more of the machine than of the code; and under CI its
    examples are the same at each run, so that a red run means a change.

    The looptime plugin asks for the current event loop before each synchronous test, for which Python 3.11 to 3.13
    create one; its ResourceWarning then fails whichever test the garbage collector happens to run in. Here is none.

    A shell starts what runs in the background with SIGINT ignored, and `nohup` has SIGHUP ignored; so would have all
    programs that tests start. A function is not inherited, and the tests themselves still live on without a terminal.
    """
    settings.load_profile("house")
    asyncio.set_event_loop(None)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda _number, _frame: None)
