"""Taking jobs: pulls that the server ends by itself, soon, so that none is open when nobody waits for it any more."""

import asyncio
import json
import time
from collections.abc import Sequence
from typing import Final

from nats.aio.msg import Msg

from workerpool.broker._nats.answers import NoRespondersError
from workerpool.broker._nats.bucket import Bucket
from workerpool.broker._nats.held import Held
from workerpool.broker._nats.link import API, NatsLink
from workerpool.broker._nats.names import Names
from workerpool.broker._nats.settling import Settling
from workerpool.broker._nats.topology import ns
from workerpool.broker._nats.wire import Delivery, own, taken_from
from workerpool.broker._types import Taken
from workerpool.errors import BrokerError, BrokerUnavailable

_PULL_SECONDS: Final = 0.25
"""A fence acts within it: a pull cannot be taken back."""
_CROWDED_SECONDS: Final = 0.01
"""After a pull that was refused because others wait for as many jobs as there are."""
_AGAIN_SECONDS: Final = 1.0


class Taking:
    """Of one consumer."""

    def __init__(self, link: NatsLink, names: Names, bucket: Bucket, held: Held, settling: Settling) -> None:
        self._link = link
        self._names = names
        self._bucket = bucket
        self._held = held
        self._settling = settling
        self._next_look = 0.0

    async def look(self, limit: int, *, seconds: float, lease: float) -> list[Taken]:
        """Jobs that were taken over first, then others; waits a moment for one."""
        found = await self._taken_over(limit, lease)
        if found:
            return found
        started = time.monotonic()
        found = await self._pull(self._names.jobs, limit, seconds=min(seconds, _PULL_SECONDS), lease=lease)
        if not found and time.monotonic() < self._next_look:
            if seconds > 0 and time.monotonic() - started < _CROWDED_SECONDS:
                await asyncio.sleep(_CROWDED_SECONDS)
            return []
        return found or await self._taken_over(limit, lease)

    async def _taken_over(self, limit: int, lease: float) -> list[Taken]:
        """Of those that somebody has let wait again because their leases had expired."""
        now = time.monotonic()
        if now < self._next_look:
            return []
        self._next_look = now + min(_AGAIN_SECONDS, lease / 4)
        found = await self._pull(self._names.again, limit, seconds=0.0, lease=lease)
        if len(found) >= limit:  # there may be more
            self._next_look = 0.0
        return found

    async def _pull(self, subject: str, limit: int, *, seconds: float, lease: float) -> list[Taken]:
        request: dict[str, object] = {"batch": limit, "no_wait": True}
        if seconds > 0:
            request["expires"] = ns(max(0.001, seconds))
        sent = time.monotonic()
        to = f"{API}CONSUMER.MSG.NEXT.{self._names.stream}.{self._names.consumers[subject]}"
        try:
            messages = await self._link.collect(to, json.dumps(request).encode(), most=limit, seconds=seconds)
        except NoRespondersError as error:
            raise BrokerUnavailable("the queue's consumer is gone, or has no leader now") from error
        return await self._accept(messages, deadline=sent + lease)

    async def _accept(self, messages: Sequence[Msg], *, deadline: float) -> list[Taken]:
        """Those that are new to us; the ones that somebody let expire wait again first."""
        fresh: list[Taken] = []
        expired = []
        try:
            for message in messages:
                delivery = Delivery.of(message.reply)
                holding = self._held.find(delivery.sequence)
                if holding is not None and Delivery.of(holding.job.token).stored_at != delivery.stored_at:
                    self._held.leave_behind(holding)
                    holding = None
                    await self._settling.look_at_all()  # the stream was made anew: so are the others
                if holding is not None:  # we were late to extend it, and went on
                    holding.deadline = deadline
                elif time.monotonic() > deadline:
                    continue  # it lay here for longer than its lease: somebody else has it by now
                elif delivery.count > 1:
                    expired.append((message, delivery.sequence, delivery.count, own(message)))
                else:
                    fresh.append(await self._hold(message, delivery, deadline))
            if expired:
                await self._settling.take_over(expired)
                self._next_look = 0.0
        except BrokerError:  # whoever is given these again must not think that we work on them
            self._held.forget(fresh)
            raise
        return fresh

    async def _hold(self, message: Msg, delivery: Delivery, deadline: float) -> Taken:
        headers = message.headers or {}
        checkpoint = b""
        if "checkpointed" in headers:
            entry = await self._bucket.get(f"checkpoint.{headers.get('origin', delivery.sequence)}")
            checkpoint = entry.value if entry is not None else b""
        job = taken_from(message, delivery, now=self._link.now(), checkpoint=checkpoint)
        return self._held.add(job, message, delivery, deadline=deadline)
