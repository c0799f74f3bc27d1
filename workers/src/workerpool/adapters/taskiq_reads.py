"""What taskiq-redis' broker reads from its streams, with a gate before each read.

The broker reads again and again inside of its `listen`, which gives a message only when there is one: from outside it
cannot be told between two reads, and one that is cut off leaves messages with a worker that does not know of them. So
`listen` runs in a task of its own here, and the gate is where that task asks the broker's pool for a connection.
"""

import asyncio
import importlib
import time
from abc import abstractmethod
from collections.abc import AsyncGenerator, Callable
from functools import partial
from itertools import count
from typing import Any, Final

from workerpool.adapters.bridge import Bridge
from workerpool.adapters.ledger import Outcome
from workerpool.adapters.taking import TakingGate, acknowledge
from workerpool.telemetry.logs import TextLog

_LATE_SECONDS: Final = 10.0
"""What a read may take beyond the time that it waits for messages."""
_AGAIN_SECONDS: Final = 1.0


class Delivery(bytes):
    """A message's data. Two that say the same are two deliveries: `key` is of this one."""

    key: int


class _OverError(Exception):
    """There will be no read any more."""


class Reads(TakingGate):
    """One broker's. Make it in the broker's loop.

    Attributes:
        reader: The task that reads, once somebody listens.
    """

    bridge: Bridge

    def __init__(self, broker: Any) -> None:
        super().__init__()
        self.broker = broker
        self.reader: asyncio.Task[None] | None = None
        self._listen: Callable[[], AsyncGenerator[Any, None]] = broker.listen
        self._get_connection = broker.connection_pool.get_connection
        broker.connection_pool.get_connection = self._connection
        self._fetched: asyncio.Queue[Any] = asyncio.Queue()
        self._wanted = asyncio.Event()
        self._reading_since: float | None = None
        self._lost = False
        self._keys = count()
        self._log = TextLog()

    @abstractmethod
    def slots(self) -> int:
        """As the bridge asks."""

    async def messages(self) -> AsyncGenerator[Any, None]:
        """As `listen` gives them. The next read begins when the last message has been asked for and one more."""
        self.reader = asyncio.create_task(self._read())
        while True:
            if self._fetched.empty():
                self._wanted.set()
            yield await self._fetched.get()

    def end(self) -> None:
        """Read no more."""
        super().end()
        self._wanted.set()

    @property
    def late(self) -> bool:
        """Whether a read is past its own timeout."""
        since = self._reading_since
        return since is not None and time.monotonic() - since > self.broker.block / 1000 + _LATE_SECONDS

    async def put_back(self, formatter: Any) -> None:
        """What was fetched and nobody has asked for: a copy is sent, and the message acknowledged then.

        Who dies between the two has it done twice. When the broker does not answer they stay, for others to claim when
        the broker's `idle_timeout` is over.
        """
        self.end()
        if self.reader is not None:
            await asyncio.wait([self.reader], timeout=self.broker.block / 1000 + _AGAIN_SECONDS)
            self.reader.cancel()
        message_type: Any = importlib.import_module("taskiq").BrokerMessage
        while not self._fetched.empty():
            message = self._fetched.get_nowait()
            try:
                parsed = formatter.loads(message=bytes(message.data))
                copy = message_type(
                    task_id=parsed.task_id,
                    task_name=parsed.task_name,
                    message=bytes(message.data),
                    labels=parsed.labels,
                )
                await self.broker.kick(copy)
                await message.ack()
            except Exception as error:  # noqa: BLE001  of whatever kind
                self._log.warning("a message could not be put back", error=type(error).__name__)
            self.bridge.ended(message.data.key, Outcome.HANDED_BACK)

    async def _read(self) -> None:
        while not self.over:
            try:
                async for message in self._listen():
                    self._take(message)
            except _OverError:
                return
            except Exception as error:  # noqa: BLE001  of whatever kind; taskiq itself would end
                self._log.warning("no message could be read", error=f"{type(error).__name__}: {error}")
                self._lost = True
                self.bridge.away(type(error).__name__)
                await asyncio.sleep(_AGAIN_SECONDS)
            finally:
                self._read_ended()

    def _take(self, message: Any) -> None:
        self._answered()
        delivery = Delivery(message.data)
        delivery.key = next(self._keys)
        self.bridge.taken(delivery.key)
        self._wanted.clear()
        acknowledging = partial(acknowledge, message.ack)
        self._fetched.put_nowait(message.model_copy(update={"data": delivery, "ack": acknowledging}))

    async def _connection(self, *arguments: Any, **named: Any) -> Any:
        """Instead of the pool's `get_connection`."""
        if asyncio.current_task() is not self.reader:
            return await self._get_connection(*arguments, **named)
        if self._reading_since is not None:  # whoever reads again has told of all that came
            self._answered()
            self._read_ended()
        await self._wanted.wait()
        if not await self.enter():
            raise _OverError
        self._reading_since = time.monotonic()
        return await self._get_connection(*arguments, **named)

    def _answered(self) -> None:
        if self._lost:
            self._lost = False
            self.bridge.back()

    def _read_ended(self) -> None:
        if self._reading_since is not None:
            self._reading_since = None
            self.leave()
