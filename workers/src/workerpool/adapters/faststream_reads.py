"""What FastStream's subscribers read from Redis Streams, with a gate before each read, and what becomes of it."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from workerpool.adapters.bridge import Bridge
from workerpool.adapters.ledger import Outcome
from workerpool.adapters.taking import TakingGate, acknowledge
from workerpool.runtime.contract import Contract
from workerpool.telemetry.logs import TextLog
from workerpool.telemetry.metrics import FailureReason

_LANE: Final = "io"
_LATE_SECONDS: Final = 10.0
"""What a read may take beyond the time that it waits for messages."""
_LOOK_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class _Fetched:
    """A message that nobody has begun yet."""

    stream: str
    group: str
    message_id: bytes
    fields: Mapping[bytes, bytes]
    attempt: int


@dataclass(slots=True)
class _Attempt:
    """What a task of FastStream's is at: one message, or those of a batch."""

    keys: list[Hashable]
    acknowledged: set[Hashable] = field(default_factory=set)
    error: BaseException | None = None


class Messages(TakingGate):
    """What one worker tells the bridge, and does for it. In FastStream's loop, but for what the bridge asks.

    Attributes:
        interrupted: Messages whose handlers were cancelled.
    """

    def __init__(self, subscribers: Sequence[Any], client: Any, contract: Contract, *, ports: tuple[int, int]) -> None:
        """Open the ports. Raises ConfigurationError."""
        super().__init__()
        self._subscribers = subscribers
        self._client = client
        self._log = TextLog()
        self._fetched: dict[Hashable, _Fetched] = {}
        self._attempts: dict[asyncio.Task[Any], _Attempt] = {}
        self._watched: set[asyncio.Task[Any]] = set()
        self._reads: dict[asyncio.Task[Any], float] = {}
        """When a task's read is late, by the monotonic clock."""
        self._lost = False
        self.interrupted = 0
        self.bridge = Bridge(self, contract, lane=_LANE, health_port=ports[0], metrics_port=ports[1])
        self._own = {name: getattr(client, name) for name in ("xreadgroup", "xautoclaim", "xack")}
        client.xreadgroup, client.xautoclaim, client.xack = self._xreadgroup, self._xautoclaim, self._xack

    # Instead of the client's own

    async def _xreadgroup(
        self, *, groupname: str, count: int | None = None, block: int | None = None, **named: Any
    ) -> Any:
        async def read() -> Any:
            most = count or self.slots()
            answer = await self._own["xreadgroup"](groupname=groupname, count=most, block=block, **named)
            for stream, entries in answer or ():
                for message_id, fields, *claimed in entries:  # a claimed one has its idle time and its deliveries, too
                    attempt = 1 + claimed[1] if claimed else 1
                    self._take(_Fetched(stream.decode(), groupname, message_id, fields, attempt))
            return answer

        return await self._read(read, wait=(block or 0) / 1000)

    async def _xautoclaim(self, *, name: str, groupname: str, **named: Any) -> Any:
        async def read() -> Any:
            answer = await self._own["xautoclaim"](name=name, groupname=groupname, **named)
            for message_id, fields in answer[1]:
                self._take(_Fetched(name, groupname, message_id, fields, attempt=2))  # at least the second one
            return answer

        return await self._read(read, wait=0.0)

    async def _xack(self, name: str, groupname: str, *ids: bytes) -> Any:
        answer = await acknowledge(lambda: self._own["xack"](name, groupname, *ids))
        acknowledged = {(name, message_id) for message_id in ids}
        for attempt in self._attempts.values():
            attempt.acknowledged |= acknowledged.intersection(attempt.keys)
        return answer

    async def _read(self, read: Callable[[], Awaitable[Any]], *, wait: float) -> Any:
        task = asyncio.current_task()
        assert task is not None
        self._over(task)
        if not await self.enter():
            await asyncio.Event().wait()  # until FastStream cancels its subscribers
        self._reads[task] = time.monotonic() + wait + _LATE_SECONDS
        try:
            answer = await read()
        except Exception as error:
            self._lost = True
            self.bridge.away(type(error).__name__)
            raise
        finally:
            del self._reads[task]
            self.leave()
        if self._lost:
            self._lost = False
            self.bridge.back()
        return answer

    def _take(self, message: _Fetched) -> None:
        key = (message.stream, message.message_id)
        self._fetched[key] = message
        self.bridge.taken(key)

    # Of the middleware

    def begins(self, message: Mapping[str, Any]) -> None:
        """FastStream has a message, in the task that runs its handler."""
        task = asyncio.current_task()
        assert task is not None
        self._over(task)
        if task not in self._watched:
            self._watched.add(task)
            task.add_done_callback(self._gone)
        keys: list[Hashable] = [(message["channel"], message_id) for message_id in message["message_ids"]]
        self._attempts[task] = _Attempt(keys)
        for key in keys:
            fetched = self._fetched.pop(key, None)
            self.bridge.begins(key, str(message["channel"]), attempt=fetched.attempt if fetched else 1)

    def ends(self, error: BaseException | None) -> None:
        """Its handler has returned or raised; it is yet to be acknowledged, if it is."""
        task = asyncio.current_task()
        attempt = self._attempts.get(task) if task is not None else None
        if attempt is not None:
            attempt.error = error

    def _over(self, task: "asyncio.Task[Any]") -> None:
        """FastStream is done with what this task was at."""
        attempt = self._attempts.pop(task, None)
        for key in attempt.keys if attempt is not None else ():
            assert attempt is not None
            outcome, reason = self._meaning(attempt.error, acknowledged=key in attempt.acknowledged)
            self.interrupted += outcome is Outcome.HANDED_BACK
            self.bridge.ended(key, outcome, reason=reason)

    def _gone(self, task: "asyncio.Task[Any]") -> None:
        self._watched.discard(task)
        if task.cancelled() and task in self._attempts:
            self._attempts[task].error = asyncio.CancelledError()
        self._over(task)

    def _meaning(self, error: BaseException | None, *, acknowledged: bool) -> tuple[Outcome, FailureReason]:
        if acknowledged:
            return (Outcome.FAILED if _failed(error) else Outcome.DONE), FailureReason.ERROR
        if isinstance(error, asyncio.CancelledError):
            return Outcome.HANDED_BACK, FailureReason.ERROR
        again = any(one.stream_sub.min_idle_time or one.stream_sub.claim_min_idle_time for one in self._subscribers)
        reason = FailureReason.ERROR if error is not None else FailureReason.LEASE_LOST
        return (Outcome.RETRIED if again else Outcome.FAILED), reason

    # The worker

    @property
    def late(self) -> bool:
        """Whether a read is past its own timeout."""
        now = time.monotonic()
        return any(now > due for due in self._reads.values())

    async def drain(self) -> None:
        """Return when no handler runs. What was fetched and not begun is put back meanwhile."""
        self.bridge.drain()
        self.end()
        for subscriber in self._subscribers:
            subscriber.running = False  # it begins no message any more, and does not wait for its handlers either
        while self._reads and not self.late:
            await asyncio.wait(tuple(self._reads), timeout=_LOOK_SECONDS)  # the tasks go on beyond their reads
        await self._put_back()
        while self._attempts:
            await asyncio.wait(tuple(self._attempts), timeout=_LOOK_SECONDS)

    async def _put_back(self) -> None:
        """In one transaction each. When the broker does not answer they stay, for others to claim."""
        for key, message in tuple(self._fetched.items()):
            try:
                async with self._client.pipeline(transaction=True) as pipe:
                    pipe.xadd(message.stream, dict(message.fields))
                    pipe.xack(message.stream, message.group, message.message_id)
                    await pipe.execute()
            except Exception as error:  # noqa: BLE001  of whatever kind
                self._log.warning("a message could not be put back", error=type(error).__name__)
            self.bridge.ended(key, Outcome.HANDED_BACK)
        self._fetched.clear()

    # What the bridge asks, in its thread

    def slots(self) -> int:
        """Messages at a time, of the subscribers that read new ones."""
        return sum(getattr(one, "max_workers", 1) for one in self._subscribers if one.stream_sub.min_idle_time is None)

    def children(self) -> Sequence[int]:
        """There are none."""
        return ()

    def hurry(self) -> None:
        """Cancel the handlers: what they had is not acknowledged, and is claimed by others."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(_cancel, tuple(self._attempts))


def _cancel(tasks: Iterable["asyncio.Task[Any]"]) -> None:
    for task in tasks:
        task.cancel()


def _failed(error: BaseException | None) -> bool:
    """FastStream's own AckMessage and the like are told by raising them."""
    told = {"AckMessage", "SkipMessage", "StopConsume"}
    return isinstance(error, Exception) and type(error).__name__ not in told
