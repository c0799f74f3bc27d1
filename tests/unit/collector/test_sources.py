"""Every kind of queue that the resource has is one that its workers and the collector can reach."""

from pathlib import Path
from typing import Any, Final, cast

import pytest

from tests.support.pools import pool
from workerpool import _source, errors
from workerpool.broker import Broker
from workerpool_operator.api.brokers import KINDS
from workerpool_operator.collector import sources
from workerpool_operator.collector.samplers import PolledSlowly
from workerpool_operator.domain.desired import contract, template

QUEUES: Final[dict[str, dict[str, Any]]] = {
    "rabbitmq": {"url": "amqp://rabbitmq:5672/jobs", "queue": "thumbs"},
    "kafka": {"url": "kafka://kafka-0:9092,kafka-1:9092?sasl=SCRAM-SHA-512", "topic": "thumbs", "group": "g"},
    "redisStream": {"url": "redis://redis:6379/0", "stream": "thumbs", "group": "g"},
    "natsJetStream": {"url": "nats://nats:4222", "stream": "thumbs", "consumer": "g"},
    "postgres": {"url": "postgresql://jobs@postgres:5432/jobs", "queue": "thumbs"},
    "redisList": {"url": "redis://redis:6379/0", "keys": ["celery"], "running": ["unacked_index"]},
    "prometheus": {"url": "http://prometheus:9090", "query": "sum(jobs)"},
    "http": {"url": "http://queues/depth", "jsonPath": "$.thumbs"},
}
"""One of each kind."""
TAKEN_FROM: Final = [name for name, kind in KINDS.items() if kind.FOR_WORKERS]


def test_there_is_one_of_each_kind() -> None:
    assert set(QUEUES) == set(KINDS) == set(sources.KINDS)


@pytest.mark.parametrize("kind", TAKEN_FROM)
def test_the_collector_and_the_workers_reach_it_by_the_same_name(kind: str, tmp_path: Path) -> None:
    described = {"name": "main", kind: QUEUES[kind]}
    observed = sources.connect_from(tmp_path)("web", described)
    variables = contract.environment(pool(queues=[described]), version="v1")
    [source] = _source.sources_from({each["name"]: each.get("value", "") for each in variables}).values()
    assert source.connect().stream == cast("Broker", observed).stream == "thumbs"


@pytest.mark.parametrize("kind", TAKEN_FROM)
def test_what_a_kind_is_refused_is_what_its_broker_cannot_do(kind: str, tmp_path: Path) -> None:
    can = sources.connect_from(tmp_path)("web", {"name": "main", kind: QUEUES[kind]}).capabilities
    assert ("tenantLimits" in KINDS[kind].WITHOUT) is not can.tenant_limits
    assert KINDS[kind].BY_SHARES is not can.tokens
    assert can.expiry, "else shedAfterSeconds needs a rule of its own"


@pytest.mark.parametrize("kind", sorted(set(KINDS) - set(TAKEN_FROM)))
def test_of_a_depth_that_is_asked_for_the_workers_are_told_nothing(kind: str, tmp_path: Path) -> None:
    password = {"password": {"secretKeyRef": {"name": "monitoring", "key": "token"}}}
    described = {"name": "main", kind: QUEUES[kind], "credentials": password}
    pod = str(template.pod_template(pool(queues=[described]), version="v1", revision="1"))
    assert "QUEUE_MAIN" not in pod
    assert "monitoring" not in pod
    observed = sources.connect_from(tmp_path)("web", described)
    assert isinstance(observed, PolledSlowly) == (kind != "redisList"), "Redis bears to be asked twice a second"
    if isinstance(observed, PolledSlowly):
        assert observed.poll_seconds == 5.0


def test_a_kind_that_only_a_newer_operator_knows_is_named_as_such(tmp_path: Path) -> None:
    with pytest.raises(errors.ConfigurationError, match="does not know"):
        sources.connect_from(tmp_path)("web", {"name": "main", "pigeon": {"url": "pigeon://loft"}})
