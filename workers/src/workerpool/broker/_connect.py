"""From a URL to a broker."""

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from workerpool.broker._credentials import Credentials
from workerpool.broker._types import Broker
from workerpool.errors import ConfigurationError

if TYPE_CHECKING:
    from workerpool.broker._memory_store import MemoryStore

LOCAL_SCHEMES: Final = frozenset({"memory", "sqlite"})
"""Schemes of brokers that no other machine can reach."""


def connect(
    url: str,
    *,
    stream: str = "",
    group: str = "",
    credentials: Credentials | None = None,
    timeout: float = 5.0,
    consumer: str = "",
    lease_seconds: float = 60.0,
    store: "MemoryStore | None" = None,
) -> Broker:
    """The broker at this address. No input or output happens here.

    Args:
        url: `redis://[user:password@]host[:port][/db]`, `rediss://...` for TLS, `sqlite:///path`, or `memory://`.
        stream: For Redis: the stream's key.
        group: For Redis: the consumer group; the stream's name by default.
        credentials: Files that are read anew for each connection; they win over those in the URL.
        timeout: Seconds after which a call fails with BrokerUnavailable.
        consumer: Who takes, unique among all processes that ever lived; a random one by default.
        lease_seconds: How long a taken job stays with its consumer without `extend`.
        store: For memory: what to share with other brokers of this process; a new one by default.

    Raises:
        ConfigurationError: the URL, or what belongs to it, is wrong.
    """
    scheme = urlsplit(url).scheme
    if scheme == "memory":
        from workerpool.broker._memory import MemoryBroker  # noqa: PLC0415  few use it, all would load it
        from workerpool.broker._memory_store import MemoryStore  # noqa: PLC0415

        return MemoryBroker(store or MemoryStore(), lease_seconds=lease_seconds)
    if scheme == "sqlite":
        from workerpool.broker._sqlite import SqliteBroker  # noqa: PLC0415  few use it, all would load it

        return SqliteBroker(url, consumer=consumer, lease_seconds=lease_seconds, timeout=timeout)
    if scheme not in {"redis", "rediss"}:
        raise ConfigurationError(f"no broker for scheme {scheme!r}: write redis://, rediss://, sqlite:/// or memory://")
    try:
        from workerpool.broker._redis import RedisAddress, RedisBroker  # noqa: PLC0415  redis is an optional extra
    except ModuleNotFoundError as error:
        raise ConfigurationError("for Redis install the extra: pip install 'workerpool[redis]'") from error
    return RedisBroker(
        RedisAddress.parse(url),
        stream=stream,
        group=group or stream,
        credentials=credentials or Credentials(),
        timeout=timeout,
        consumer=consumer,
        lease_seconds=lease_seconds,
    )
