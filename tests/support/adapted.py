"""What tests of adapters share: the environment of a pool, and a look at a worker's ports."""

import asyncio
import urllib.error
import urllib.request

import pytest

ENV = {
    "WORKERPOOL_NAME": "pool",
    "WORKERPOOL_VERSION": "v1",
    "WORKERPOOL_POD": "pod-1",
    "HEARTBEAT_INTERVAL": "0.2",
    "STUCK_AFTER": "1",
    "DRAIN_TIMEOUT": "5",
    "MAX_WORKERS": "2",
}
ANY_PORT = {"health_port": 0, "metrics_port": 0}


def listening(caplog: pytest.LogCaptureFixture) -> tuple[int, int]:
    """The ports of health and metrics, as the log says."""
    [record] = [record for record in caplog.records if "health_port" in vars(record)]
    return vars(record)["health_port"], vars(record)["metrics_port"]


async def asked(port: int, path: str) -> tuple[int, str]:
    """Status and text of a page."""
    return await asyncio.to_thread(_get, port, path)


def _get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
