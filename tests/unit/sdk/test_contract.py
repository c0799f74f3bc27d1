"""The environment, and what a wrong one gets."""

from pathlib import Path

import pytest

from workerpool import ConfigurationError, Queue
from workerpool.broker import TenantLimit
from workerpool.runtime.contract import Contract
from workerpool.runtime.live import Policy

POOL = {"WORKERPOOL_NAME": "p", "QUEUE_MAIN_URL": "redis://r:6379/0", "QUEUE_MAIN_STREAM": "s"}


def test_everything_has_a_default_but_the_queue() -> None:
    contract = Contract.from_env(POOL)
    assert (contract.slots, contract.heartbeat_seconds, contract.drain_seconds, contract.stuck_seconds) == (
        20,
        10,
        60,
        45,
    )
    assert contract.policy == Policy(max_attempts=5, backoff_seconds=1, backoff_max_seconds=60, lease_seconds=60)
    [source] = contract.sources
    assert (source.name, source.stream, source.group) == ("main", "s", "s")


def test_all_of_the_contract_is_read() -> None:
    contract = Contract.from_env(
        POOL
        | {
            "WORKERPOOL_NAMESPACE": "ns",
            "WORKERPOOL_VERSION": "v",
            "WORKERPOOL_POD": "pod",
            "WORKERPOOL_NODE": "node",
            "WORKERPOOL_COLLECTOR": "c:8090",
            "MAX_WORKERS": "3",
            "HEARTBEAT_INTERVAL": "5",
            "DRAIN_TIMEOUT": "0",
            "STUCK_AFTER": "30",
            "LEASE_SECONDS": "15",
            "MAX_ATTEMPTS": "2",
            "BACKOFF_SECONDS": "0.5",
            "BACKOFF_MAX_SECONDS": "7",
            "RATE_LIMIT_PER_SECOND": "0.5",
            "CONCURRENCY_PER_WORKER": "2",
            "TENANT_LIMITS": '{"a": {"ratePerSecond": 2}, "*": {"ratePerSecond": "0.5", "maxInFlight": 3}}',
            "SHED_AFTER_SECONDS": '{"low": 600}',
        }
    )
    assert (contract.pool, contract.namespace, contract.version, contract.pod) == ("p", "ns", "v", "pod")
    assert (contract.node, contract.collector, contract.slots) == ("node", "c:8090", 3)
    assert (contract.heartbeat_seconds, contract.drain_seconds, contract.stuck_seconds) == (5, 0, 30)
    assert contract.policy == Policy(
        max_attempts=2,
        backoff_seconds=0.5,
        backoff_max_seconds=7,
        lease_seconds=15,
        rate_limit_per_second=0.5,
        concurrency_per_worker=2,
        tenant_limits={"a": TenantLimit(2.0), "*": TenantLimit(0.5, 3)},
        shed_after={"low": 600.0},
    )


def test_queues_come_with_their_files_and_in_order_of_their_names() -> None:
    contract = Contract.from_env(
        POOL
        | {
            "QUEUE_MAIN_PASSWORD_FILE": "/credentials/main/password",
            "QUEUE_A_B_URL": "rediss://other",
            "QUEUE_A_B_STREAM": "t",
            "QUEUE_A_B_GROUP": "g",
            "QUEUE_A_B_CA_FILE": "/credentials/a-b/ca.crt",
        }
    )
    first, second = contract.sources
    assert (first.name, first.group, first.credentials.ca_file) == ("a-b", "g", Path("/credentials/a-b/ca.crt"))
    assert (second.name, second.credentials.password_file) == ("main", Path("/credentials/main/password"))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"QUEUE_MAIN_URL": None}, "QUEUE_<NAME>_URL"),
        ({"QUEUE_MAIN_URL": ""}, "QUEUE_MAIN_URL"),
        ({"QUEUE_MAIN_STREAM": None}, "QUEUE_MAIN_STREAM"),
        ({"QUEUE_MAIN_URL": "redis://"}, "QUEUE_MAIN_URL"),
        ({"QUEUE_MAIN_URL": "memory://"}, "QUEUE_MAIN_URL"),
        ({"QUEUE_MAIN_URL": "sqlite:///a"}, "QUEUE_MAIN_URL"),
        ({"QUEUE_MAIN_STREAM": "a{}"}, "hash tag"),
        ({"MAX_WORKERS": "0"}, "MAX_WORKERS"),
        ({"MAX_WORKERS": "1.5"}, "MAX_WORKERS"),
        ({"LEASE_SECONDS": "soon"}, "LEASE_SECONDS"),
        ({"LEASE_SECONDS": "nan"}, "LEASE_SECONDS"),
        ({"RATE_LIMIT_PER_SECOND": "many"}, "RATE_LIMIT_PER_SECOND"),
        ({"RATE_LIMIT_PER_SECOND": "0"}, "RATE_LIMIT_PER_SECOND"),
        ({"CONCURRENCY_PER_WORKER": "0"}, "CONCURRENCY_PER_WORKER"),
        ({"CONCURRENCY_PER_WORKER": "few"}, "CONCURRENCY_PER_WORKER"),
        ({"TENANT_LIMITS": "acme"}, "TENANT_LIMITS"),
        ({"TENANT_LIMITS": '["acme"]'}, "TENANT_LIMITS"),
        ({"TENANT_LIMITS": '{"acme": {"rate": 1}}'}, "TENANT_LIMITS"),
        ({"TENANT_LIMITS": '{"acme": {"ratePerSecond": 0}}'}, "TENANT_LIMITS"),
        ({"TENANT_LIMITS": '{"acme": {"maxInFlight": 0}}'}, "TENANT_LIMITS"),
        ({"SHED_AFTER_SECONDS": "600"}, "SHED_AFTER_SECONDS"),
        ({"SHED_AFTER_SECONDS": '{"lowest": 600}'}, "SHED_AFTER_SECONDS"),
        ({"SHED_AFTER_SECONDS": '{"low": -1}'}, "SHED_AFTER_SECONDS"),
        ({"DRAIN_TIMEOUT": "inf"}, "DRAIN_TIMEOUT"),
        ({"DRAIN_TIMEOUT": "-1"}, "DRAIN_TIMEOUT"),
        ({"BACKOFF_SECONDS": "x"}, "BACKOFF_SECONDS"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, str | None], named: str) -> None:
    env = {name: value for name, value in (POOL | change).items() if value is not None}
    with pytest.raises(ConfigurationError, match=named):
        Contract.from_env(env)


def test_a_password_in_a_wrong_url_is_not_repeated() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Contract.from_env(POOL | {"QUEUE_MAIN_URL": "redis://u:hunter2@h:x/0"})
    assert "hunter2" not in str(caught.value)


def test_outside_a_pool_the_program_names_its_queue() -> None:
    queue = Queue.connect("memory://")
    assert Contract.from_env({}, source=queue.source).sources == (queue.source,)
    with pytest.raises(ConfigurationError, match="sqlite"):
        Contract.from_env({})


def test_in_a_pool_the_environment_wins_over_the_program() -> None:
    queue = Queue.connect("memory://")
    assert [source.name for source in Contract.from_env(POOL, source=queue.source).sources] == ["main"]
    assert Contract.from_env(POOL, source=queue.source).sources[0].stream == "s"


def test_a_producer_finds_its_queue_in_the_environment() -> None:
    assert Queue.from_env(env=POOL).source.stream == "s"
    two = POOL | {"QUEUE_B_URL": "redis://r", "QUEUE_B_STREAM": "t"}
    assert Queue.from_env("b", env=two).source.stream == "t"
    with pytest.raises(ConfigurationError, match="b, main"):
        Queue.from_env(env=two)
    with pytest.raises(ConfigurationError, match="QUEUE_NO_SUCH_URL"):
        Queue.from_env("no-such", env=two)
    with pytest.raises(ConfigurationError, match="QUEUE_MAIN_URL"):
        Queue.from_env(env={})
