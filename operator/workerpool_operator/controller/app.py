"""The operator as a whole: its parts, wired, started and stopped in order.

Start: watches and streams at once on every replica, so that a standby knows everything when it has to lead.
Stop: no new work, then the events, then the Lease is handed back, so that the next leader begins at once.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack, suppress
from typing import Any

import structlog
from aiohttp import web

from workerpool_operator.controller import watches
from workerpool_operator.controller.budgets import BudgetReconciler
from workerpool_operator.controller.config import LEASE_NAME, OperatorConfig
from workerpool_operator.controller.execute import Executor
from workerpool_operator.controller.external_metrics import ExternalMetrics
from workerpool_operator.controller.facts import FactsKeeper
from workerpool_operator.controller.keys import BudgetKey, NamespaceKey, PoolKey
from workerpool_operator.controller.lapses import Lapses
from workerpool_operator.controller.leadership import Leadership
from workerpool_operator.controller.ledger import Ledger
from workerpool_operator.controller.metrics_feed import Changes, Feed
from workerpool_operator.controller.namespaces import NamespaceReconciler
from workerpool_operator.controller.queue import Key, Outcome, WorkQueue
from workerpool_operator.controller.reconcile import PoolReconciler
from workerpool_operator.controller.resync import Resync
from workerpool_operator.controller.router import Router
from workerpool_operator.controller.store import Store
from workerpool_operator.domain import desired
from workerpool_operator.kube import ClusterAccess, EventRecorder, Kube, LeaderElector, errors, kinds
from workerpool_operator.metrics import OperatorMetrics
from workerpool_operator.metrics_api.messages import Settings
from workerpool_operator.protocol import TOKEN_AUDIENCE
from workerpool_operator.serve.health import Health, health_app
from workerpool_operator.serve.state import Peer, StreamState
from workerpool_operator.serve.stream import StreamServer
from workerpool_operator.serve.values import ValueBoard

_log = structlog.get_logger(__name__)


class Operator:
    """One replica. `run` returns when `stop` is set, and raises when a vital part has failed."""

    def __init__(
        self, config: OperatorConfig, access: ClusterAccess, *, heed_signals: Callable[[], None] = lambda: None
    ) -> None:
        """`heed_signals()` has the process' signals handled by whoever runs this; called when others took them."""
        self._config = config
        self._heed_signals = heed_signals
        self._access = access
        self._metrics = OperatorMetrics(config.prices)
        self._store = Store()
        self._watching = asyncio.Event()
        self._metrics_api: ExternalMetrics | None = None
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Operate until told to stop."""
        async with AsyncExitStack() as stack:
            lease_kube = await stack.enter_async_context(Kube(self._access, observer=self._metrics))
            elector = LeaderElector(
                lease_kube,
                namespace=self._config.namespace,
                name=LEASE_NAME,
                identity=self._config.identity,
                address=self._config.external_metrics_address,
            )
            kube = Kube(self._access, observer=self._metrics, write_gate=elector.check)
            await stack.enter_async_context(kube)
            await self._operate(kube, elector, stop=stop)

    async def _operate(self, kube: Kube, elector: LeaderElector, *, stop: asyncio.Event) -> None:
        events = EventRecorder(kube, instance=self._config.pod, on_drop=self._metrics.event_dropped)
        queue = WorkQueue(self._handle, gate=lambda: leadership.gate(), metrics=self._metrics)  # noqa: PLW0108  made below
        router = Router(self._store, queue)
        serves_metric = self._config.external_metrics_port > 0
        changes = Changes()
        board = ValueBoard(on_change=changes.note) if serves_metric else ValueBoard()
        streams = StreamState(on_change=router.stream_changed, readings=board)
        resync = self._resync = Resync(
            kube,
            self._store,
            changed=router.listed,
            period=self._config.resync_seconds,
            namespaces=self._config.watch_namespaces,
        )
        facts = FactsKeeper(kube, serves_metric=serves_metric, changed=router.mark_everything)
        executor = Executor(kube=kube, store=self._store)
        ledger = Ledger(on_claim=lambda budget: queue.mark(BudgetKey(budget)))
        self._budgets = BudgetReconciler(
            kube=kube,
            store=self._store,
            ledger=ledger,
            clock=asyncio.get_running_loop().time,
            due=queue.mark,
        )
        self._pools = PoolReconciler(
            kube=kube,
            store=self._store,
            streams=streams,
            values=board,
            facts=facts,
            rules=self._config.rules,
            executor=executor,
            gone=router.gone,
            events=events,
            metrics=self._metrics,
            ledger=ledger,
        )
        self._namespaces = self._namespace_reconciler(streams, executor)

        def began(epoch: int) -> None:
            streams.set_role(leader=True, epoch=epoch)
            self._pools.begin_term(epoch)
            board.begin()
            queue.begin()
            router.mark_everything()

        def ended() -> None:
            streams.set_role(leader=False, epoch=elector.epoch)
            board.end()

        async def learn() -> None:
            await facts.refresh()
            await resync.everything()

        leadership = Leadership(elector, learn=learn, began=began, ended=ended, acts=self._metrics.leading)
        self._start("queue", queue.run())
        self._start("leadership", leadership.run())
        self._start("resync", resync.run())
        self._start("lapses", Lapses(board, due=queue.mark).run())
        self._start("keda", resync.run_soon(kinds.SCALED_OBJECT, while_=lambda: bool(self._pools.with_keda)))
        self._start("facts", facts.run())
        self._start("events", events.run())
        self._start("streams", self._stream_server(kube, streams).run())
        self._start("health", self._serve_health())
        if serves_metric:
            elector.on_change(lambda leading: changes.note())  # noqa: ARG005  the shape of the elector's callback
            self._metrics_api = self._external_metrics(elector, board, changes)
            self._start("external_metrics", self._metrics_api.run())
        self._start("lease", elector.run())
        handlers = watches.registry(router, access=self._access)
        stop_watching = asyncio.Event()
        watching = watches.watch(
            handlers,
            identity=self._config.pod,
            ready=self._watching,
            stop=stop_watching,
            namespaces=self._config.watch_namespaces,
            spawned=self._heed_signals,
        )
        self._start("watches", watching)
        try:
            await self._until(stop)
        finally:
            await self._shut_down(events, stop_watching)

    def _namespace_reconciler(self, streams: StreamState, executor: Executor) -> NamespaceReconciler:
        settings = desired.CollectorSettings(
            image=self._config.collector_image,
            image_pull_policy=self._config.collector_pull_policy,
            image_pull_secrets=self._config.collector_pull_secrets,
            replicas=self._config.collector_replicas,
            operator_stream=self._config.stream_address,
            ca_pem="",
            log_level=self._config.log_level,
        )
        return NamespaceReconciler(
            store=self._store,
            streams=streams,
            executor=executor,
            collector=settings,
            ca_file=self._config.tls / "ca.crt",
        )

    async def _handle(self, key: Key) -> Outcome:
        """One key's turn. Losing the lease in the middle is no failure: the next leader goes on from there."""
        started = asyncio.get_running_loop().time()
        error = "failed"
        try:
            match key:
                case PoolKey() | NamespaceKey() if self._resync.closed(key.namespace):
                    outcome = Outcome()  # it is marked again when the namespace can be read
                case PoolKey():
                    outcome = await self._pools.reconcile(key)
                case BudgetKey():
                    outcome = await self._budgets.reconcile(key)
                case NamespaceKey():
                    outcome = await self._namespaces.reconcile(key)
                case _:
                    raise TypeError(f"unknown key {key!r}")
            error = "refused" if outcome.failed else ""
        except errors.NotLeader:
            error, outcome = "", Outcome()
        finally:
            self._metrics.reconciled(seconds=asyncio.get_running_loop().time() - started, error=error)
        return outcome

    def _stream_server(self, kube: Kube, streams: StreamState) -> StreamServer:
        async def authenticate(token: str) -> Peer | None:
            identity = await kube.token_review(token, audience=TOKEN_AUDIENCE)
            if identity is None or identity.service_account != desired.COLLECTOR_NAME:
                return None
            if self._config.watch_namespaces and identity.namespace not in self._config.watch_namespaces:
                return None
            return Peer(namespace=identity.namespace, pod=identity.pod or identity.username)

        return StreamServer(
            streams,
            authenticate=authenticate,
            tls=self._config.tls,
            host=self._config.bind,
            port=self._config.stream_port,
        )

    def _external_metrics(self, elector: LeaderElector, board: ValueBoard, changes: Changes) -> ExternalMetrics:
        settings = Settings(
            tls=self._config.tls,
            host=self._config.bind,
            port=self._config.external_metrics_port,
            server_name=self._config.external_metrics_host,
            log_level=self._config.log_level,
        )

        def feed() -> Feed:
            return Feed(store=self._store, board=board, lead=elector, changes=changes)

        return ExternalMetrics(settings, feed=feed, metrics=self._metrics)

    async def _serve_health(self) -> None:
        health = Health(alive=self._alive, ready=self._ready, metrics=self._metrics.exposition)
        runner = web.AppRunner(health_app(health), access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._config.bind, self._config.http_port).start()
            await asyncio.Event().wait()
        finally:
            await runner.cleanup()

    def _alive(self) -> bool:
        return not any(task.done() for task in self._tasks.values())

    def _ready(self) -> bool:
        return self._watching.is_set() and (self._metrics_api is None or self._metrics_api.ready)

    def _start(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        self._tasks[name] = asyncio.create_task(work, name=name)

    async def _until(self, stop: asyncio.Event) -> None:
        """Wait for the wish to stop, or for a vital task to end, which none should do by itself."""
        stopping = asyncio.create_task(stop.wait())
        done, _ = await asyncio.wait({stopping, *self._tasks.values()}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        for task in done - {stopping}:
            _log.error("task_ended", task=task.get_name(), error=repr(task.exception()))
            raise RuntimeError(f"the operator's task {task.get_name()!r} has ended") from task.exception()

    async def _shut_down(self, events: EventRecorder, stop_watching: asyncio.Event) -> None:
        _log.info("stopping")
        for name in ("queue", "leadership", "resync", "keda", "lapses", "facts", "streams"):
            await _cancel(self._tasks[name])
        with suppress(Exception):
            await events.flush()
        await _cancel(self._tasks["events"])
        await _cancel(self._tasks["lease"])
        if "external_metrics" in self._tasks:
            await _cancel(self._tasks["external_metrics"])
        stop_watching.set()  # kopf, when it stops, cancels what others began after it
        with suppress(TimeoutError, Exception):
            async with asyncio.timeout(5):
                await self._tasks["watches"]
        await _cancel(self._tasks["watches"])
        await _cancel(self._tasks["health"])
        _log.info("stopped")


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError, Exception):
        await task
