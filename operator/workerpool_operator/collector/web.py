"""The collector's HTTP: streams, what anyone may read, and health, on a port each."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from workerpool.protocol import STREAM_PATH
from workerpool_operator.collector.board import Board
from workerpool_operator.collector.config import CollectorConfig
from workerpool_operator.collector.workers import WorkerServer


def stream_app(workers: WorkerServer) -> web.Application:
    """Workers' streams."""
    app = web.Application()
    app.router.add_get(STREAM_PATH, workers.serve)
    return app


def open_app(registry: CollectorRegistry, board: Board, *, connected: Callable[[], int]) -> web.Application:
    """What may be read by anyone who reaches the pod: `/metrics`, and `/v1/state` for people.

    People come by the API server's services/proxy, from an address of the control plane that no NetworkPolicy can
    name: so the state is not on the streams' port, which is open to the namespace's workers only.
    """

    async def metrics(_: web.Request) -> web.Response:
        body = generate_latest(registry)  # on the loop, which owns what is read
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def state(request: web.Request) -> web.Response:
        return web.json_response(describe(board, operators=connected(), pool=request.query.get("pool")))

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/v1/state", state)
    return app


def health_app(*, ready: Callable[[], bool]) -> web.Application:
    """`/healthz` as long as the loop turns; `/ready` once the pods are known. Neither asks a broker."""

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readiness(_: web.Request) -> web.Response:
        return web.Response(text="ok\n") if ready() else web.Response(status=503, text="not yet\n")

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/ready", readiness)
    return app


def describe(board: Board, *, operators: int, pool: str | None = None) -> dict[str, object]:
    """What the collector knows, as JSON; with `pool`, of that one only. It holds no credentials."""
    pools: dict[str, object] = {}
    for name, known in board.pools.items():
        if pool is not None and name != pool:
            continue
        samples, workers = board.samples_message(name), board.workers_message(name)
        pools[name] = {
            "queues": samples.model_dump(mode="json")["samples"] if samples else [],
            "workers": workers.model_dump(mode="json")["workers"] if workers else [],
            "fence": {"id": known.fence_id, "pods": sorted(known.fenced)},
            "workers_expected": board.expected_workers(name),
        }
    return {"operators_connected": operators, "configured": board.configured, "pools": pools}


@asynccontextmanager
async def served(config: CollectorConfig, apps: dict[int, web.Application]) -> AsyncIterator[None]:
    """Serve each application on its port."""
    async with AsyncExitStack() as stack:
        for port, app in apps.items():
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, config.bind, port).start()
        yield
