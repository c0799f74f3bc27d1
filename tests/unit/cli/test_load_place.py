"""The name of a queue, from the pool that works on it."""

from typing import Any

import pytest

from workerpool.errors import ConfigurationError
from workerpool_operator.cli.load.place import Names, names_in


def a_pool(*queues: dict[str, Any]) -> dict[str, Any]:
    return {"spec": {"queues": list(queues)}}


@pytest.mark.parametrize(
    ("url", "queue", "names"),
    [
        ("rediss://r/0", {"redisStream": {"url": "u", "stream": "s", "group": "g"}}, Names("s", "g")),
        ("nats://n", {"natsJetStream": {"url": "u", "stream": "s", "consumer": "c"}}, Names("s", "c")),
        ("postgresql://p/d", {"postgres": {"url": "u", "queue": "q"}}, Names("q", "")),
        ("amqps://a", {"rabbitmq": {"url": "u", "queue": "q"}}, Names("q", "")),
        ("kafka+ssl://k", {"kafka": {"url": "u", "topic": "t", "group": "g"}}, Names("t", "g")),
    ],
)
def test_each_kind_of_broker_names_its_queue(url: str, queue: dict[str, Any], names: Names) -> None:
    """Beside a queue in another kind of broker, of which only the depth is read."""
    other = {"name": "other", "prometheus": {"url": "u", "query": "q"}}
    assert names_in(a_pool(other, {"name": "main", **queue}), url=url) == names


@pytest.mark.parametrize(
    ("pool", "said"),
    [
        (a_pool({"kafka": {"topic": "t"}}), "no queue"),
        (a_pool({"redisStream": {"stream": "a"}}, {"redisStream": {"stream": "b"}}), "2 queues"),
        ({}, "no queue"),
    ],
)
def test_where_it_is_not_one_it_has_to_be_said(pool: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        names_in(pool, url="redis://r/0")
