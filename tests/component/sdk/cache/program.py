"""A process that gets one value many times at once: what it got, and how, as a JSON line.

argv: url, stream, calls, value, seconds that the origin takes, and those after which a lock is gone. It says `ready`,
goes on at a line from stdin, and says `asked` when it asks the origin.
"""

# ruff: noqa: T201  what it says is what the test reads

import asyncio
import json
import sys

from workerpool import Queue
from workerpool.cache import Cache
from workerpool.redis import Redis


async def main(url: str, stream: str, calls: int, value: str, *, seconds: float, lock: float) -> None:
    async with Redis(Queue.connect(url, stream=stream)) as redis:
        cache = Cache(redis, lock_seconds=lock)

        async def origin() -> str:
            await redis.call("INCR", f"{stream}:asked")
            print("asked", flush=True)
            await asyncio.sleep(seconds)
            return value

        await redis.call("PING")
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        got = await asyncio.gather(*(cache.get_or_fill("key", origin, ttl=60) for _ in range(calls)))
        print(json.dumps(got), flush=True)


url, stream, calls, value, seconds, lock = sys.argv[1:]
asyncio.run(main(url, stream, int(calls), value, seconds=float(seconds), lock=float(lock)))
