"""A local HTTP server of known capacity, in a process of its own: what the measuring commands call by default.

It serves `capacity` requests at a time, each in `seconds`; the others wait in line. With `contention` each request in
line makes those that are served slower, as threads do that fight for cores, locks or connections: the time is
seconds x (1 + contention x waiting). So throughput has its knee at `capacity`, and falls beyond it.

In a process of its own, so that what is measured does not share its interpreter. It ends with the one that started it.
"""

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aiohttp import web


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What the server bears. Times in seconds."""

    at_once: int = 8
    seconds: float = 0.05
    contention: float = 0.0


@contextlib.asynccontextmanager
async def local_target(capacity: Capacity) -> AsyncIterator[str]:
    """Start the server; its URL."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "workerpool_operator.cli.target",
        *("--at-once", str(capacity.at_once)),
        *("--seconds", str(capacity.seconds)),
        *("--contention", str(capacity.contention)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for this process, which ends that one
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        port = json.loads(await process.stdout.readline())["port"]
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.stdin.close()  # by which it ends
        await process.wait()


async def serve(capacity: Capacity, *, until_eof: Any = sys.stdin) -> None:
    """Serve until this file ends."""
    from aiohttp import web  # noqa: PLC0415  for the server's own process: it takes long to import

    server = web.Server(_handler(capacity))
    runner = web.ServerRunner(server, shutdown_timeout=0.1)  # nobody waits for the answers any more
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=4096)
    await site.start()
    print(json.dumps({"port": runner.addresses[0][1]}), flush=True)  # noqa: T201  what its starter waits for
    await asyncio.get_running_loop().run_in_executor(None, until_eof.read)
    await runner.cleanup()


def _handler(capacity: Capacity) -> Any:
    from aiohttp import web  # noqa: PLC0415  see `serve`

    free = asyncio.Semaphore(capacity.at_once)
    waiting = 0

    async def handle(_request: "web.BaseRequest") -> web.Response:
        nonlocal waiting
        waiting += 1
        async with free:
            waiting -= 1
            await asyncio.sleep(capacity.seconds * (1 + capacity.contention * waiting))
        return web.Response(body=b"ok")

    return handle


def main() -> None:
    """See the module's text."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--at-once", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--contention", type=float, required=True)
    asked = parser.parse_args()
    capacity = Capacity(at_once=asked.at_once, seconds=asked.seconds, contention=asked.contention)
    asyncio.run(serve(capacity))


if __name__ == "__main__":
    main()
