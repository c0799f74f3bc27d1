"""The reference worker for I/O: asyncio handlers that wait for others most of their time.

| Job type | Payload | Does |
|---|---|---|
| `sleep` | `{"seconds": 0.1, "record": true, "fail_attempts": 0}` | waits, as for a slow neighbour; tells when |
"""
