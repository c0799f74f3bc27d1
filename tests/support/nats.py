"""A real NATS server with JetStream for component tests.

`nats_server` is one server per test run, with its streams in files; tests share it and use streams of their own
(`nats_stream`). A test that stops, restarts or configures its server starts its own: `with NatsServer(tmp_path)`.
"""

import secrets
from collections.abc import Iterator

import pytest

from e2e.support.nats_server import NatsServer, cluster_of

__all__ = ["NatsServer", "cluster_of", "nats_server", "nats_stream"]


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """The run's own NATS; do not stop or configure it."""
    with NatsServer(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest.fixture
def nats_stream() -> str:
    """The name of a stream that no other test uses."""
    return f"jobs-{secrets.token_hex(4)}"
