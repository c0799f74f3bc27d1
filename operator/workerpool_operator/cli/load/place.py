"""What names a queue in its broker, from the pool that works on it: pure."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from workerpool.errors import ConfigurationError

_FIELDS: Final[Mapping[str, str]] = {
    "redis": "redisStream",
    "rediss": "redisStream",
    "nats": "natsJetStream",
    "tls": "natsJetStream",
    "postgresql": "postgres",
    "postgres": "postgres",
    "amqp": "rabbitmq",
    "amqps": "rabbitmq",
    "kafka": "kafka",
    "kafka+ssl": "kafka",
}
"""Scheme of an address -> the field of a pool's queue in that kind of broker."""


class Names(NamedTuple):
    """Of a queue in its broker."""

    stream: str
    group: str


def names_in(pool: Mapping[str, Any], *, url: str) -> Names:
    """Of the pool's only queue in a broker of this kind; its address may be another one seen from inside the cluster.

    Raises:
        ConfigurationError: it has none of them, or several.
    """
    field = _FIELDS.get(url.partition(":")[0], "")
    queues = (pool.get("spec") or {}).get("queues") or ()
    found = [queue[field] for queue in queues if queue.get(field)]
    if len(found) != 1:
        has = f"{len(found)} queues" if found else "no queue"
        raise ConfigurationError(f"the pool has {has} in a broker of this kind: say --stream")
    [queue] = found
    stream = queue.get("stream") or queue.get("queue") or queue.get("topic") or ""
    return Names(stream, queue.get("group") or queue.get("consumer") or "")
