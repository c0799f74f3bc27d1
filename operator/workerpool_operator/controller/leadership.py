"""What changes with the Lease: the gate of the work queue, and the term that opens it.

A new leader first learns everything (a store with holes would take running workers for missing ones), forgets what it
remembered of an earlier term, marks every key, and only then opens the gate. Losing the Lease closes the gate at once;
watches, streams and the process stay.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from workerpool_operator.kube import LeaderElector, errors

RETRY_SECONDS: Final = 1.0

_log = structlog.get_logger(__name__)


class Leadership:
    """Opens and closes the gate. `began(epoch)` and `ended()` are told in between.

    `learn()` finds out all that a plan follows from, and raises KubeError where it cannot. `acts(yes)` is told when the
    gate is open and when it is not any more: who holds the Lease and cannot learn does nothing, and has to be missed.
    """

    def __init__(
        self,
        elector: LeaderElector,
        *,
        learn: Callable[[], Awaitable[None]],
        began: Callable[[int], None],
        ended: Callable[[], None],
        acts: Callable[[bool], None],
    ) -> None:
        self._elector = elector
        self._learn = learn
        self._began = began
        self._ended = ended
        self._acts = acts
        self._open = asyncio.Event()
        self._changed = asyncio.Event()
        elector.on_change(self._on_change)

    async def gate(self) -> None:
        """Wait until this replica leads and knows what is there."""
        while not (self._open.is_set() and self._elector.leading):
            await self._open.wait()
            if not self._elector.leading:
                # The deadline has passed and the elector has not run yet: let it.
                await asyncio.sleep(0.05)

    async def run(self) -> None:
        """Begin a term each time the Lease is won, until cancelled."""
        while True:
            await self._elector.wait_leading()
            self._changed.clear()
            if await self._begin():
                await self._changed.wait()

    async def _begin(self) -> bool:
        epoch = self._elector.epoch
        try:
            await self._learn()
        except errors.KubeError as error:
            _log.warning("first_listing_failed", error=str(error))
            await asyncio.sleep(RETRY_SECONDS)
            return False
        if not self._elector.leading or self._elector.epoch != epoch:
            return False
        self._began(epoch)
        self._open.set()
        self._acts(True)  # noqa: FBT003  the shape of the elector's callback
        _log.info("term_began", epoch=epoch)
        return True

    def _on_change(self, leading: bool) -> None:  # noqa: FBT001  the shape of the elector's callback
        if not leading:
            self._open.clear()
            self._acts(leading)
            self._ended()
        self._changed.set()
