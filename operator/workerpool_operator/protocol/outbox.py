"""What waits to be sent on one connection: of messages with one subject only the newest.

All messages of these protocols say how things are, not how they changed, so a slow connection may skip the states in
between. What waits is bounded by the number of subjects, however long the peer is stalled.
"""

import asyncio
from collections.abc import Awaitable, Callable

from pydantic import BaseModel


class Outbox:
    """The newest message of each subject, in order of first mention."""

    def __init__(self) -> None:
        self._messages: dict[str, BaseModel] = {}
        self._wake = asyncio.Event()

    def send(self, subject: str, message: BaseModel) -> None:
        """Put a message out, in the place of an unsent one of the same subject."""
        self._messages[subject] = message
        self._wake.set()

    def send_last(self, subject: str, message: BaseModel) -> None:
        """The same, behind all that waits: for what speaks of what was said before it."""
        self._messages.pop(subject, None)
        self.send(subject, message)

    async def drain(self, write: Callable[[str], Awaitable[None]]) -> None:
        """Write messages as they come, until cancelled or until `write` fails."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._messages:
                subject = next(iter(self._messages))
                await write(self._messages.pop(subject).model_dump_json())
