"""Both ends of the streams with everything real but Kubernetes: TLS, WebSockets, signed tokens, Redis."""

import asyncio
import copy
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa

from e2e.cluster.pki import Authority
from e2e.cluster.ports import free_ports
from tests.support.waiting import until
from workerpool.protocol import STREAM_PATH, TOKEN_AUDIENCE, Hello, Report, Settings, decode_down
from workerpool_operator.collector.app import Collector
from workerpool_operator.collector.config import CollectorConfig
from workerpool_operator.protocol import PoolConfig
from workerpool_operator.serve.state import Peer, StreamState
from workerpool_operator.serve.stream import StreamServer

NAMESPACE = "media"
ISSUER = "https://kubernetes.default.svc"
GOOD_TOKEN = "collectors-token"


@dataclass
class FakeApi:
    """The API server as far as a collector asks: pods of one namespace, and the keys that sign tokens."""

    key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))
    pods: dict[str, dict[str, Any]] = field(default_factory=dict)
    _events: list[dict[str, Any]] = field(default_factory=list)
    """All that ever changed; how many there were is the resource version."""
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get(f"/api/v1/namespaces/{NAMESPACE}/pods", self._pods)
        app.router.add_get("/.well-known/openid-configuration", self._configuration)
        app.router.add_get("/openid/v1/jwks", self._keys)
        return app

    def add_pod(self, name: str, *, pool: str = "web") -> None:
        pod = {
            "metadata": {
                "name": name,
                "uid": f"uid-{name}",
                "labels": {"workerpool.dev/pool": pool},
            },
            "spec": {"nodeName": "node-1"},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
        }
        self.pods[name] = pod
        self._tell("ADDED", pod)

    def delete_pod(self, name: str) -> None:
        """As with a grace period: it is still there, and on its way out."""
        self.pods[name]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        self._tell("MODIFIED", self.pods[name])

    def remove_pod(self, name: str) -> None:
        self._tell("DELETED", self.pods.pop(name))

    def token(self, pod: str, *, key: rsa.RSAPrivateKey | None = None, kid: str = "one", **changed: Any) -> str:
        bound = {"namespace": NAMESPACE, "pod": {"name": pod, "uid": f"uid-{pod}"}}
        claims = {"iss": ISSUER, "aud": [TOKEN_AUDIENCE], "exp": time.time() + 600, "kubernetes.io": bound} | changed
        return jwt.encode(claims, key or self.key, algorithm="RS256", headers={"kid": kid})

    def _tell(self, kind: str, pod: dict[str, Any]) -> None:
        pod["metadata"]["resourceVersion"] = str(len(self._events) + 1)
        self._events.append({"type": kind, "object": copy.deepcopy(pod)})
        self._news.set()

    async def _pods(self, request: web.Request) -> web.StreamResponse:
        if "watch" not in request.query:
            version = str(len(self._events))
            return web.json_response({"metadata": {"resourceVersion": version}, "items": list(self.pods.values())})
        told = int(request.query["resourceVersion"])  # what came between the list and the watch is told, too
        stream = web.StreamResponse()
        await stream.prepare(request)
        while True:
            for event in self._events[told:]:
                await stream.write(json.dumps(event).encode() + b"\n")
                told += 1
            self._news.clear()
            if told == len(self._events):
                await self._news.wait()

    async def _configuration(self, _: web.Request) -> web.Response:
        return web.json_response({"issuer": ISSUER})

    async def _keys(self, _: web.Request) -> web.Response:
        key = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
        return web.json_response({"keys": [{**key, "kid": "one", "alg": "RS256", "use": "sig"}]})


@dataclass
class Ends:
    """An operator's end and one collector, which find each other."""

    home: Path
    api: FakeApi
    state: StreamState
    changes: list[tuple[str, str]]
    stream_port: int
    workers_port: int
    open_port: int
    _server: asyncio.Task[None] | None = None

    def lead(self, *pools: PoolConfig, epoch: int = 1) -> None:
        self.state.set_role(leader=True, epoch=epoch)
        self.state.send_config(NAMESPACE, pools)

    async def start_operator(self, state: StreamState | None = None) -> None:
        """Serve, on the same port as before."""
        self.state = state or self.state
        server = StreamServer(
            self.state, authenticate=_authenticate, tls=self.home / "tls", host="127.0.0.1", port=self.stream_port
        )
        self._server = asyncio.create_task(server.run())

    async def stop_operator(self) -> None:
        assert self._server is not None
        self._server.cancel()
        with suppress(asyncio.CancelledError):
            await self._server

    def new_state(self) -> StreamState:
        """The state of another operator that takes over."""
        return StreamState(on_change=lambda namespace, pool: self.changes.append((namespace, pool)))

    @asynccontextmanager
    async def worker(self, pod: str, token: str) -> AsyncIterator["FakeWorker"]:
        async with aiohttp.ClientSession() as session:
            url = f"ws://127.0.0.1:{self.workers_port}{STREAM_PATH}"
            async with session.ws_connect(url, headers={"Authorization": f"Bearer {token}"}) as stream:
                yield FakeWorker(pod=pod, stream=stream)

    async def collector_serves(self) -> bool:
        try:
            return bool(await self.state_of_collector())
        except aiohttp.ClientError:
            return False

    async def state_of_collector(self) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self.open_port}/v1/state"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            found: dict[str, Any] = await answer.json()
            return found


@dataclass
class FakeWorker:
    """A worker's side of its stream, frame by frame."""

    pod: str
    stream: aiohttp.ClientWebSocketResponse

    async def hello(self, *, pool: str = "web") -> None:
        await self.stream.send_str(
            Hello(pool=pool, pod=self.pod, version="v1", slots=4, boot_id="boot").model_dump_json()
        )

    async def report(self, in_flight: int = 0, *, fence: str = "") -> None:
        await self.stream.send_str(Report(in_flight=in_flight, slots=4, fence=fence).model_dump_json())

    async def settings(self, wanted: Callable[[Settings], bool]) -> Settings:
        """The next settings that are as wanted."""
        async with asyncio.timeout(60):
            while True:
                settings = decode_down(await self.stream.receive_str())
                if settings is not None and wanted(settings):
                    return settings


async def _authenticate(token: str) -> Peer | None:
    return Peer(namespace=NAMESPACE, pod="collector-1") if token == GOOD_TOKEN else None


@asynccontextmanager
async def both_ends(home: Path) -> AsyncIterator[Ends]:
    """A running collector, and an operator's end that is started and leads nothing yet."""
    authority = Authority(home=home / "tls", name="ca")
    authority.issue("tls", common_name="localhost", hosts=["localhost"])
    (home / "token").write_text(GOOD_TOKEN)
    (home / "credentials").mkdir()
    names = ("api", "stream", "workers", "open", "health")
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    api = FakeApi()
    runner = web.AppRunner(api.app(), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", ports["api"]).start()
    changes: list[tuple[str, str]] = []
    state = StreamState(on_change=lambda namespace, pool: changes.append((namespace, pool)))
    ends = Ends(home, api, state, changes, ports["stream"], ports["workers"], ports["open"])
    await ends.start_operator()
    config = CollectorConfig.from_environment(
        {
            "OPERATOR_STREAM": f"localhost:{ports['stream']}",
            "POD_NAMESPACE": NAMESPACE,
            "POD_NAME": "collector-1",
            "OPERATOR_CA": str(home / "tls" / "ca.crt"),
            "OPERATOR_TOKEN": str(home / "token"),
            "API_SERVER": f"http://127.0.0.1:{ports['api']}",
            "API_DIRECTORY": str(home),
            "CREDENTIALS": str(home / "credentials"),
            "BIND_ADDRESS": "127.0.0.1",
            "STREAM_PORT": str(ports["workers"]),
            "METRICS_PORT": str(ports["open"]),
            "HEALTH_PORT": str(ports["health"]),
        }
    )
    stop = asyncio.Event()
    collector = asyncio.create_task(Collector(config).run(stop))
    try:
        await until(ends.collector_serves, what="the collector's ports")
        yield ends
    finally:
        stop.set()
        await collector
        await ends.stop_operator()
        await runner.cleanup()
