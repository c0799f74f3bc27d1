"""FastStream 0.7 or later on Redis Streams with consumer groups: `install(app)` makes its workers keep the contract.

| What is told | By |
|---|---|
| the worker starts, is ready, drains, ends | the hooks `on_startup`, `after_startup`, `on_shutdown`, `after_shutdown` |
| a message came | the client's `xreadgroup` and `xautoclaim`, which wait while there is a fence |
| an attempt begins, and how it ends | a middleware of the broker |
| it is acknowledged | the client's `xack` |
| FastStream is done with it | its task has ended, begins with another message, or reads again |
| the loop turns | a task in FastStream's event loop |

FastStream fetches up to `max_records` messages in one read, or all that wait; here no more than it has slots, unless
`max_records` says otherwise. All of them count as in flight, and in a drain those that it has not begun are put back.
"""

import asyncio
import importlib
import multiprocessing
from collections.abc import Mapping
from typing import Any, Final

from workerpool.adapters.bridge import BEAT_SECONDS
from workerpool.adapters.faststream_reads import Messages
from workerpool.adapters.refusal import contract_or_refuse, refuse, refuse_with_parent, require_version
from workerpool.errors import ConfigurationError
from workerpool.runtime.contract import Contract
from workerpool.telemetry.logs import TextLog

_BROKER: Final = "RedisBroker"
_LOOK_SECONDS: Final = 1.0
_ANSWER_SECONDS: Final = 5.0
"""A broker that is later than that is away."""


def install(
    app: Any, *, health_port: int = 8080, metrics_port: int = 8000, env: Mapping[str, str] | None = None
) -> None:
    """Make the workers of this app keep the worker contract.

    Outside a pool (no `WORKERPOOL_NAME`) it does nothing, and nothing begins before the app starts: a producer may
    import the same module.

    Args:
        app: The `FastStream` app, with its broker.
        health_port: Where `/healthz` and `/ready` are; 0 chooses a free one.
        metrics_port: Where `/metrics` is; 0 chooses a free one.
        env: The environment, for tests.

    Raises:
        SystemExit: this app or version cannot keep it; a log line says why.
    """
    contract = contract_or_refuse(env)
    if contract is None:
        return
    require_version("FastStream", "faststream", least=(0, 7), why="reads its streams in another way")
    if len(app.brokers) != 1:
        refuse(f"install() wants an app with one broker, and this one has {len(app.brokers)}")
    worker = _Worker(app.broker, contract, ports=(health_port, metrics_port))
    app.on_startup(worker.startup)
    app.after_startup(worker.started)
    app.on_shutdown(worker.drain)
    app.after_shutdown(worker.finish)
    base: Any = importlib.import_module("faststream").BaseMiddleware
    app.broker.add_middleware(_middleware(base, worker))


def _middleware(base: Any, worker: "_Worker") -> Any:
    """Made here: nobody else needs FastStream for it."""

    async def on_receive(self: Any) -> None:
        worker.begins(self.msg)

    async def after_processed(_: Any, _type: Any = None, error: Any = None, _traceback: Any = None) -> bool:
        worker.ends(error)
        return False

    return type("WorkerPoolMiddleware", (base,), {"on_receive": on_receive, "after_processed": after_processed})


class _Worker:
    """FastStream's hooks, in its loop."""

    def __init__(self, broker: Any, contract: Contract, *, ports: tuple[int, int]) -> None:
        self._broker = broker
        self._contract = contract
        self._ports = ports
        self._messages: Messages | None = None
        self._beating: asyncio.Task[None] | None = None
        self._draining = False

    async def startup(self) -> None:
        """Before the broker is connected: the ports are opened, and the broker is waited for."""
        _check(self._broker, self._contract)
        client = await self._broker.connect()
        try:
            self._messages = Messages(self._broker.subscribers, client, self._contract, ports=self._ports)
        except ConfigurationError as error:
            refuse(str(error))
        bridge = self._messages.bridge
        bridge.start()
        self._beating = asyncio.create_task(self._beat())
        while not self._draining:
            try:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    await client.ping()
            except Exception as error:  # noqa: BLE001  of whatever kind
                bridge.away(type(error).__name__)
                await asyncio.sleep(_LOOK_SECONDS)
            else:
                return

    async def started(self) -> None:
        """Its subscribers read."""
        if self._messages is not None:
            self._messages.bridge.ready()

    async def drain(self) -> None:
        """Return when no handler runs; FastStream stops its subscribers then, which would cut handlers off."""
        self._draining = True
        if self._messages is not None:
            await self._messages.drain()

    async def finish(self) -> None:
        """Some 12 s at most."""
        if self._beating is not None:
            self._beating.cancel()
        messages, self._messages = self._messages, None
        if messages is not None:
            await asyncio.to_thread(messages.bridge.finish, interrupted=messages.interrupted)

    def begins(self, message: Mapping[str, Any]) -> None:
        """Of the middleware."""
        if self._messages is not None:
            self._messages.begins(message)

    def ends(self, error: BaseException | None) -> None:
        """Of the middleware."""
        if self._messages is not None:
            self._messages.ends(error)

    async def _beat(self) -> None:
        while self._messages is not None:
            if not self._messages.late:
                self._messages.bridge.beat()
            await asyncio.sleep(BEAT_SECONDS)


def _check(broker: Any, contract: Contract) -> None:
    """Refuse a worker that could not keep the contract; warn of what costs jobs."""
    if multiprocessing.parent_process() is not None:
        refuse_with_parent(
            "FastStream is asked for several processes, and a pod has one: give it no --workers or --reload"
        )
    if not any(base.__name__ == _BROKER for base in type(broker).__mro__):
        refuse(f"FastStream's {type(broker).__module__}.{type(broker).__name__} is not supported: use {_BROKER}")
    if not broker.subscribers:
        refuse("this app has no subscribers")
    for subscriber in broker.subscribers:
        stream = getattr(subscriber, "stream_sub", None)
        if stream is None or not stream.group or not stream.consumer or stream.no_ack:
            refuse(
                "all subscribers have to read streams, as a consumer group, and acknowledge what is done: "
                "lists and channels lose what a worker has when it dies"
            )
        if stream.last_id != ">":
            refuse("leave last_id out of StreamSub: with it, only the worker that makes the group reads new messages")
    slots = sum(getattr(one, "max_workers", 1) for one in broker.subscribers if one.stream_sub.min_idle_time is None)
    log = TextLog()
    if slots != contract.slots:
        log.warning(
            "the pool counts with other slots than FastStream has: set max_workers to MAX_WORKERS",
            max_workers_of_all=slots,
            max_workers=contract.slots,
        )
    idle = [subscriber.stream_sub for subscriber in broker.subscribers]
    if not any(stream.min_idle_time or stream.claim_min_idle_time for stream in idle):
        log.warning("what fails or a killed worker had stays where it is: subscribe with min_idle_time as well")
