"""The reference worker for I/O: asyncio handlers that wait for others most of their time.

| Job type | Payload | Does |
|---|---|---|
| `fetch` | `{"url": "https://..."}` | fetches a page as robots.txt allows, and keeps what it found, once per job |
| `sleep` | `{"seconds": 0.1, "record": true, "fail_attempts": 0}` | waits, as for a slow neighbour; tells when |
"""
