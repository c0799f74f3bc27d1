"""What a worker is told to keep and its broker cannot: refused at the start, and left out, once said, while it runs."""

from typing import Any

import pytest

from workerpool import ConfigurationError
from workerpool.broker import TenantLimit
from workerpool.runtime.contract import Contract
from workerpool.runtime.live import Orders, Policy
from workerpool.runtime.needs import Possible

RABBITMQ = {"WORKERPOOL_NAME": "p", "QUEUE_MAIN_URL": "amqp://r/v", "QUEUE_MAIN_QUEUE": "jobs"}
REDIS = {"WORKERPOOL_NAME": "p", "QUEUE_MAIN_URL": "redis://r", "QUEUE_MAIN_STREAM": "jobs"}


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        (
            {"TENANT_LIMITS": '{"*": {"maxInFlight": 1}}'},
            "TENANT_LIMITS: queue main is in rabbitmq, which cannot count",
        ),
    ],
)
def test_what_the_broker_cannot_keep_is_refused_at_the_start(setting: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        Contract.from_env(RABBITMQ | setting)
    Contract.from_env(REDIS | setting)


def test_what_it_can_keep_is_not() -> None:
    policy = Contract.from_env(RABBITMQ | {"SHED_AFTER_SECONDS": '{"low": 5}', "RATE_LIMIT_PER_SECOND": "5"}).policy
    assert (policy.shed_after, policy.rate_limit_per_second) == ({"low": 5}, 5.0)


class Log:
    def __init__(self) -> None:
        self.said: list[str] = []

    def error(self, _text: str, *, setting: str, queue: str) -> None:
        self.said.append(setting)


def policy(**more: Any) -> Policy:
    return Policy(max_attempts=5, backoff_seconds=1, backoff_max_seconds=60, lease_seconds=60, **more)


def test_live_settings_that_cannot_be_kept_are_left_out_and_said_once() -> None:
    asked = policy(rate_limit_per_second=5.0, tenant_limits={"*": TenantLimit(1.0)}, shed_after={"low": 5.0})
    for env, kept in ((REDIS, asked), (RABBITMQ, policy(rate_limit_per_second=5.0, shed_after={"low": 5.0}))):
        log = Log()
        possible = Possible(Contract.from_env(env).sources, log=log)
        assert [possible(Orders(policy=asked)).policy for _ in range(2)] == [kept, kept]
        assert log.said == ([] if env is REDIS else ["tenant_limits"])
    assert possible(Orders(policy=None)) == Orders(policy=None)
    assert possible(Orders(policy=policy())) == Orders(policy=policy())
