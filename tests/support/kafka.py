"""A real Kafka for component tests.

`kafka_server` is one server per test run, started by the first test that needs it: it takes seconds. Tests share it and
use topics of their own. A test that stops, restarts or configures its server starts its own:
`with KafkaServer(tmp_path)`.
"""

from collections.abc import Iterator

import pytest

from e2e.support.kafka_server import KafkaServer, cluster_of, make_topic

__all__ = ["KafkaServer", "cluster_of", "kafka_server", "make_topic"]


@pytest.fixture(scope="session")
def kafka_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """The run's own Kafka; do not stop or configure it."""
    # Nobody is to take it for dead, and make no topic there, after it has stood still for seconds.
    options = {"broker.session.timeout.ms": "9000"}
    with KafkaServer(tmp_path_factory.mktemp("kafka"), options=options) as server:
        yield server
