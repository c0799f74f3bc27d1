"""The collector as a whole: its parts, wired, and what each order of the operator does."""

import asyncio
from contextlib import suppress

import structlog
from pydantic import BaseModel

from workerpool_operator.collector.arrivals import ArrivalCounter
from workerpool_operator.collector.board import Board
from workerpool_operator.collector.config import CollectorConfig
from workerpool_operator.collector.kubeapi import ApiClient, PodWatch
from workerpool_operator.collector.metrics import CollectorMetrics
from workerpool_operator.collector.samplers import Samplers
from workerpool_operator.collector.scrape import Scraper
from workerpool_operator.collector.sources import connect_from
from workerpool_operator.collector.tokens import TokenVerifier
from workerpool_operator.collector.uplink import Uplink
from workerpool_operator.collector.web import health_app, open_app, served, stream_app
from workerpool_operator.collector.workers import WorkerServer
from workerpool_operator.protocol import Config, Down, Fence, PastArrivals, PoolSettings, ReadNow, Unheld

_log = structlog.get_logger(__name__)


class Collector:
    """One collector process."""

    def __init__(self, config: CollectorConfig) -> None:
        self._config = config
        self._board = Board(announce=self._announce, began=self._began)
        self._arrivals = ArrivalCounter(self._board, announce=self._announce)
        self._metrics = CollectorMetrics(self._board)
        api = ApiClient(config.api_server, config.api_directory)
        self._pods_known = asyncio.Event()
        self._workers = WorkerServer(self._board, TokenVerifier(api, namespace=config.namespace))
        self._pods = PodWatch(
            api, self._board, namespace=config.namespace, synced=self._pods_known.set, tell=self._workers.tell
        )
        self._scraper = Scraper(self._board)
        self._samplers = Samplers(self._board, connect=connect_from(config.credentials), observer=self._metrics)
        self._uplink = Uplink(
            config, compose=self._compose, everything=self._everything, hold=self._board.hold, obey=self._obey
        )
        self._readings: set[asyncio.Task[None]] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Collect until told to stop. Raises when a vital part has failed."""
        apps = {
            self._config.stream_port: stream_app(self._workers),
            self._config.metrics_port: open_app(
                self._metrics.registry, self._board, connected=lambda: self._uplink.connected
            ),
            self._config.health_port: health_app(ready=self._pods_known.is_set),
        }
        async with served(self._config, apps):
            parts = [
                self._pods.run(),
                self._workers.repeat(),
                self._scraper.run(),
                self._uplink.run(),
                self._arrivals.run(),
            ]
            tasks = [asyncio.create_task(part) for part in parts]
            stopping = asyncio.create_task(stop.wait())
            try:
                done, _ = await asyncio.wait({stopping, *tasks}, return_when=asyncio.FIRST_COMPLETED)
                for task in done - {stopping}:
                    raise RuntimeError("a part of the collector has ended") from task.exception()
            finally:
                for task in (stopping, *tasks):
                    task.cancel()
                await asyncio.gather(stopping, *tasks, return_exceptions=True)
                await self._samplers.stop()

    def _announce(self, what: str, pool: str, *, within: float = 0.0, news: bool = True) -> None:
        self._uplink.announce(what, pool, within=within, news=news)

    def _began(self, pool: str) -> None:
        self._samplers.stir(pool)

    def _compose(self, what: str, pool: str) -> BaseModel | None:
        match what:
            case "samples":
                return self._board.samples_message(pool) or Unheld(pool=pool, what="samples")
            case "arrivals":
                return self._arrivals.message(pool)
        return self._board.workers_message(pool) or Unheld(pool=pool)

    def _everything(self) -> list[tuple[str, str]]:
        return [(what, pool) for pool in self._board.pools for what in ("samples", "workers", "arrivals")]

    def _obey(self, order: Down) -> None:
        """Each order says how things should be; obeying one twice does nothing more."""
        match order:
            case Config(pools=pools):
                self._board.configure(pools)
                self._samplers.apply(pools)
            case Fence(pool=pool, fence_id=fence_id, pods=pods, ttl_seconds=ttl):
                known = self._board.pools.get(pool)
                before = known.fenced if known else frozenset()
                if self._board.order_fence(pool, fence_id, frozenset(pods), ttl=ttl):
                    self._workers.tell(pool, before | frozenset(pods))
            case PoolSettings(pool=pool, delivery=delivery, shares=shares):
                shared = self._board.order_shares(pool, shares)
                self._workers.tell(pool, None if self._board.order_delivery(pool, delivery) else shared)
            case PastArrivals():
                self._arrivals.take(order)
            case ReadNow(pool=pool, read_id=read_id):
                self._read_now(pool, read_id)

    def _read_now(self, pool: str, read_id: str) -> None:
        self._samplers.read_now(pool)
        task = asyncio.create_task(self._scrape_now(pool, read_id))
        self._readings.add(task)
        task.add_done_callback(self._readings.discard)

    async def _scrape_now(self, pool: str, read_id: str) -> None:
        with suppress(Exception):
            await self._scraper.scrape(pool)
        known = self._board.pools.get(pool)
        if known is not None:
            known.read_id = read_id
            for what in ("samples", "workers"):
                self._announce(what, pool)
