"""The time that a queue in memory goes by."""

import asyncio


def now() -> float:
    """By the event loop's clock, in seconds: where a test plays it, leases and delays follow."""
    return asyncio.get_running_loop().time()
