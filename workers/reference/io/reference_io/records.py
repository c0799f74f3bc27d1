"""Tells on a stream beside the queue when a job starts and how it ends: what load generators and tests count by.

The stream of queue `S` is `{S}:results`, on the same Redis. Each entry has the fields `event` (`start`, `finish` or
`fail`), `job`, `attempt`, `pod` and `node`; its id is the time, by the clock of Redis.
"""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import redis.asyncio
from redis.credentials import CredentialProvider

from workerpool import Job, RejectJob

MAX_RECORDS: Final = 1_000_000
"""Older ones are trimmed, so a forgotten load does not fill the broker."""
_TIMEOUT_SECONDS: Final = 5.0
_QUEUE: Final = re.compile(r"QUEUE_([A-Z0-9_]+)_URL")


class Records:
    """Writers of records, one for each Redis queue of this worker."""

    def __init__(self, clients: Mapping[str, tuple[Any, str]], *, env: Mapping[str, str]) -> None:
        self._clients = clients
        self._who = {"pod": env.get("WORKERPOOL_POD", ""), "node": env.get("WORKERPOOL_NODE", "")}

    @classmethod
    @asynccontextmanager
    async def opened(cls, env: Mapping[str, str] | None = None) -> AsyncIterator["Records"]:
        """The writers of the queues that the environment names; nothing is dialled yet."""
        env = os.environ if env is None else env
        clients: dict[str, tuple[Any, str]] = {}
        async with AsyncExitStack() as stack:
            for variable in env:
                match = _QUEUE.fullmatch(variable)
                if match and env[variable].startswith(("redis://", "rediss://")):
                    client = _client(env, match[0].removesuffix("_URL"))
                    stack.push_async_callback(client.aclose)
                    stream = env[f"QUEUE_{match[1]}_STREAM"]
                    clients[match[1].lower().replace("_", "-")] = (client, _beside(stream, "results"))
            yield cls(clients, env=env)

    async def tell(self, event: str, job: Job) -> None:
        """Write one record. An error fails the job: a record that is missing in silence would look like a lost job.

        Raises:
            RejectJob: the job's queue is not on Redis.
            redis.RedisError, TimeoutError: Redis did not take it.
        """
        if job.queue not in self._clients:
            raise RejectJob(f"records need a queue on Redis, {job.queue!r} is not")
        client, key = self._clients[job.queue]
        fields = {"event": event, "job": job.id, "attempt": job.attempt, **self._who}
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            await client.xadd(key, fields, maxlen=MAX_RECORDS, approximate=True)


class _Files(CredentialProvider):
    """Credentials from files, read anew for each connection."""

    def __init__(self, env: Mapping[str, str], prefix: str) -> None:
        self._username = env.get(f"{prefix}_USERNAME_FILE", "")
        self._password = env.get(f"{prefix}_PASSWORD_FILE", "")

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        password = Path(self._password).read_text().strip()
        return (Path(self._username).read_text().strip(), password) if self._username else (password,)


def _client(env: Mapping[str, str], prefix: str) -> Any:
    options: dict[str, Any] = {}
    if env.get(f"{prefix}_PASSWORD_FILE"):
        options["credential_provider"] = _Files(env, prefix)
    for option, suffix in (("ssl_ca_certs", "CA_FILE"), ("ssl_certfile", "CERT_FILE"), ("ssl_keyfile", "KEY_FILE")):
        if path := env.get(f"{prefix}_{suffix}"):
            options[option] = path
    # No socket timeout: with one, redis-py uses asyncio.wait_for, which before Python 3.12 may swallow the cancellation
    # by which a drain ends a handler. `tell` has a timeout around everything.
    return redis.asyncio.Redis.from_url(env[f"{prefix}_URL"], socket_connect_timeout=_TIMEOUT_SECONDS, **options)


def _beside(stream: str, what: str) -> str:
    """A key in the same hash slot as the stream, as the SDK names its own."""
    base = stream if re.search(r"\{[^}]+\}", stream) else "{" + stream + "}"
    return f"{base}:{what}"
