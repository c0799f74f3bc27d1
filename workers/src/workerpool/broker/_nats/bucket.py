"""The key-value bucket beside a queue's stream: its identity, leases as they are announced, checkpoints, token buckets.

It is one of NATS' own, so `nats kv` shows it.
"""

from typing import NamedTuple

from workerpool.broker._nats import stored
from workerpool.broker._nats.answers import WRONG_LAST_SEQUENCE, ApiError
from workerpool.broker._nats.link import NatsLink, Request
from workerpool.broker._nats.names import Names

_EXPECTED = "Nats-Expected-Last-Subject-Sequence"


class Entry(NamedTuple):
    """A value."""

    value: bytes
    revision: int
    written_at: float
    """Unix seconds by the server's clock."""


class Bucket:
    """Of one queue."""

    def __init__(self, link: NatsLink, names: Names) -> None:
        self._link = link
        self._names = names

    async def get(self, key: str) -> Entry | None:
        """What is there, None when nothing is."""
        found = await stored.get(self._link, self._names.bucket_stream, last_by_subj=self._names.key_prefix + key)
        if found is None or "KV-Operation" in found.headers:
            return None
        return Entry(found.payload, found.sequence, found.stored_at)

    async def put(self, key: str, value: bytes) -> None:
        """Whatever was there."""
        [answer] = await self._link.ask([Request(self._names.key_prefix + key, value)])
        stored.pub_ack(answer.data)

    async def replace(self, key: str, value: bytes, *, revision: int) -> bool:
        """Unless somebody wrote since this revision; 0: unless anybody ever did. Whether it was done."""
        headers = {_EXPECTED: str(revision)}
        [answer] = await self._link.ask([Request(self._names.key_prefix + key, value, headers)])
        try:
            stored.pub_ack(answer.data)
        except ApiError as error:
            if error.code in WRONG_LAST_SEQUENCE:
                return False
            raise
        return True

    async def forget(self, key: str) -> None:
        """Nothing stays of it."""
        await stored.purge(self._link, self._names.bucket_stream, self._names.key_prefix + key)

    async def keys(self, prefix: str) -> list[str]:
        """Those that begin so and end with one more word."""
        subjects = f"{self._names.key_prefix}{prefix}*"
        answer = await self._link.api(f"STREAM.INFO.{self._names.bucket_stream}", {"subjects_filter": subjects})
        found = answer.get("state", {}).get("subjects") or {}
        return [subject.removeprefix(self._names.key_prefix) for subject in found]
