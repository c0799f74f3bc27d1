"""A namespace's real collector as a process, with what its pod would find mounted."""

from __future__ import annotations

import shutil
import sys
from typing import Final

import aiohttp

from bench.pools.stage import Stage
from e2e.cluster.ports import free_ports
from e2e.cluster.processes import Daemon
from e2e.faults.collector import Endpoint
from e2e.support.wait import until
from workerpool_operator import protocol
from workerpool_operator.domain.desired import COLLECTOR_NAME
from workerpool_operator.kube import kinds

_API: Final = ""
"""The audience of a token for the API server itself."""
_TOKEN_SECONDS: Final = 6 * 3600


async def collector(stage: Stage, place: str, *, endpoint: Endpoint) -> Daemon:
    """Start that of a namespace as soon as the operator has made what it needs; it ends with the stage.

    Raises:
        NotInTimeError: it has no service account within ten minutes.
    """
    home = stage.home / f"collector-{place}"
    (home / "api").mkdir(parents=True, exist_ok=True)

    async def allowed() -> bool:
        try:
            (home / "token").write_text(await _token(stage, place, protocol.TOKEN_AUDIENCE))
            (home / "api" / "token").write_text(await _token(stage, place, _API))
        except aiohttp.ClientResponseError:
            return False
        return True

    await until(allowed, seconds=600, what=f"the service account of the collector in {place}")
    shutil.copy(stage.plane.authority.pair.cert, home / "api" / "ca.crt")
    stream, metrics, health = free_ports(3)
    daemon = stage.daemon(
        f"collector-{place}",
        *(sys.executable, "-m", "workerpool_operator.collector"),
        env={
            "POD_NAMESPACE": place,
            "POD_NAME": COLLECTOR_NAME,
            "OPERATOR_STREAM": f"127.0.0.1:{endpoint.port}",
            "OPERATOR_CA": endpoint.authority,
            "OPERATOR_TOKEN": str(home / "token"),
            "API_SERVER": stage.plane.url,
            "API_DIRECTORY": str(home / "api"),
            "CREDENTIALS": str(home / "credentials"),
            "BIND_ADDRESS": "127.0.0.1",
            "STREAM_PORT": str(stream),
            "METRICS_PORT": str(metrics),
            "HEALTH_PORT": str(health),
        },
    )
    daemon.ensure()
    return daemon


async def _token(stage: Stage, place: str, audience: str) -> str:
    path = kinds.SERVICE_ACCOUNT.path(namespace=place, name=COLLECTOR_NAME, subresource="token")
    spec = {"audiences": [audience] if audience else [], "expirationSeconds": _TOKEN_SECONDS}
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    async with stage.session.post(stage.access.server + path, json=request) as answer:
        answer.raise_for_status()
        return str((await answer.json())["status"]["token"])
