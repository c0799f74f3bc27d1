"""A real RabbitMQ for component tests.

`rabbitmq_server` is one server per test run, started by the first test that needs it: it takes seconds. Tests share it
and use queues of their own. A test that stops, restarts or configures its server starts its own:
`with RabbitServer(tmp_path)`; one that needs several nodes, `with cluster_of(tmp_path, 3)`.
"""

from collections.abc import Iterator
from typing import Final

import pytest

from e2e.support.rabbitmq_server import RabbitServer, cluster_of

__all__ = ["RabbitServer", "cluster_of", "rabbitmq_server", "wait_for_dead_letters"]

_SILENCE_SECONDS: Final = 6.0


@pytest.fixture(scope="session")
def rabbitmq_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitServer]:
    """The run's own RabbitMQ; do not stop or configure it."""
    server = RabbitServer(tmp_path_factory.mktemp("rabbitmq"))
    server.allow("elsewhere", "pw", vhost="other")
    server.allow("weak", "pw", only="^other-jobs$")
    with server:
        yield server


def wait_for_dead_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the test's end, who looks at dead letters takes those that came before a machine stood still for no end."""
    monkeypatch.setattr("workerpool.broker._rabbitmq.dead._SILENCE_SECONDS", _SILENCE_SECONDS)
