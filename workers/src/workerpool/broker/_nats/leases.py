"""The lease: one for all consumers of a queue, since JetStream has it in the consumer.

It is the largest of those that somebody goes by. Everyone announces his own beside the stream, raises the one in force
when it is shorter, and lowers it when nobody announces a longer one any more.
"""

import time
from typing import Final

from workerpool.broker._nats.bucket import Bucket
from workerpool.broker._nats.link import NatsLink
from workerpool.broker._nats.topology import Topology

_ANNOUNCE_SECONDS: Final = 30.0
_FORGET_SECONDS: Final = 120.0
_PREFIX: Final = "lease."


class Leases:
    """Of one consumer."""

    def __init__(self, link: NatsLink, bucket: Bucket, topology: Topology) -> None:
        self._link = link
        self._bucket = bucket
        self._topology = topology
        self._said = ("", 0.0)  # what we announced, and until when that will do

    async def announce(self, lease: float) -> None:
        """See to it that nobody is given our jobs before our lease is over. Costs nothing most of the time."""
        key = f"{_PREFIX}{round(lease * 1000)}"
        if self._said[0] == key and time.monotonic() < self._said[1]:
            return
        until = time.monotonic() + _ANNOUNCE_SECONDS
        await self._bucket.put(key, b"")
        await self._topology.put_in_force(lease, instead_of=lambda there: there < lease)
        self._said = (key, until)

    async def relax(self) -> None:
        """Lower the lease in force to the longest that was announced of late."""
        longest = await self._longest()
        if not longest:
            return
        await self._topology.put_in_force(longest, instead_of=lambda there: there > longest)
        longer = await self._longest()  # whoever announced one in between has seen the long one in force
        if longer > longest:
            await self._topology.put_in_force(longer, instead_of=lambda there: there < longer)

    async def _longest(self) -> float:
        longest = 0.0
        for key in await self._bucket.keys(_PREFIX):
            entry = await self._bucket.get(key)
            if entry is None:
                continue
            if self._link.now() - entry.written_at > _FORGET_SECONDS:
                await self._bucket.forget(key)
            else:
                longest = max(longest, int(key.removeprefix(_PREFIX)) / 1000.0)
        return longest
