"""The blocking read: how long it may be, and how another connection ends it."""

import contextlib
from typing import Final

from workerpool.broker._redis.link import RedisLink
from workerpool.errors import AuthenticationFailed, BrokerError

_SECONDS: Final = 2.0
_SECONDS_UNINTERRUPTIBLE: Final = 0.1


class Blocking:
    """Of one reading connection.

    Attributes:
        seconds: How long a read may block.
    """

    def __init__(self, commands: RedisLink, reads: RedisLink) -> None:
        self._commands = commands
        self._reads = reads
        self._reading_as = (0, 0)  # (generation of the reading connection, its client id)
        self.seconds = _SECONDS

    @property
    def used(self) -> bool:
        """Whether there ever was a read."""
        return self._reading_as[0] > 0

    async def prepare(self) -> None:
        """Know the client id of the reading connection, and whether we may interrupt it at all."""
        if self._reads.generation and self._reads.generation == self._reading_as[0]:
            return
        client_id = int(await self._reads.call("CLIENT", "ID"))
        self._reading_as = (self._reads.generation, client_id)
        try:
            await self._commands.call("CLIENT", "UNBLOCK", client_id)
            self.seconds = _SECONDS
        except AuthenticationFailed:  # the ACL: look up often then, so that a fence acts soon all the same
            self.seconds = _SECONDS_UNINTERRUPTIBLE

    async def end(self) -> None:
        """By CLIENT UNBLOCK: Redis then answers it with nothing, or has answered already."""
        with contextlib.suppress(BrokerError):  # the read ends by its own timeout then
            await self._commands.call("CLIENT", "UNBLOCK", self._reading_as[1])
