"""Exports the backlog of consumer groups to Prometheus, as redis_exporter does: asked anew at each scrape.

A program of its own that knows nothing but the SDK; in a pod it is mounted into the reference worker's image.
"""

import asyncio
import os
from typing import Any

from workerpool import Queue
from workerpool.redis import Redis

PORT = 9121
SECONDS = 2.0


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one scrape; without the numbers it fails, so that nobody goes by old ones."""
    try:
        async with asyncio.timeout(SECONDS):
            await reader.readuntil(b"\r\n\r\n")
            lines = [line for stream in os.environ["STREAMS"].split(",") for line in await of(stream)]
        body = "".join(f"{line}\n" for line in lines).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {len(body)}\r\n"
        writer.write(f"{head}Connection: close\r\n\r\n".encode() + body)
        await writer.drain()
    finally:
        writer.close()


async def of(stream: str) -> list[str]:
    """Give the samples of one stream's groups."""
    async with Redis(Queue.connect(os.environ["REDIS_URL"], stream=stream)) as redis:
        groups = await redis.call("XINFO", "GROUPS", stream)
    lines = []
    for group in groups:
        fields: dict[bytes, Any] = dict(zip(group[::2], group[1::2], strict=True))
        labels = f'{{stream="{stream}",group="{fields[b"name"].decode()}"}}'
        lines.append(f"redis_stream_group_lag{labels} {fields[b'lag']}")
        lines.append(f"redis_stream_group_messages_pending{labels} {fields[b'pending']}")
    return lines


async def main() -> None:
    """Serve until the end."""
    server = await asyncio.start_server(answer, "0.0.0.0", PORT)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
