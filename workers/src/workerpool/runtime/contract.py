"""The worker contract: what a worker reads from its environment (docs/reference/worker-contract.md)."""

import json
import math
import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from workerpool._source import Source, sources_from
from workerpool.broker import Priority, TenantLimit
from workerpool.errors import ConfigurationError
from workerpool.runtime.live import Policy
from workerpool.runtime.needs import require

_DEFAULTS: Final = {
    "MAX_WORKERS": "20",
    "HEARTBEAT_INTERVAL": "10",
    "DRAIN_TIMEOUT": "60",
    "STUCK_AFTER": "45",
    "LEASE_SECONDS": "60",
    "MAX_ATTEMPTS": "5",
    "BACKOFF_SECONDS": "1",
    "BACKOFF_MAX_SECONDS": "60",
    "SLOW_JOB_SECONDS": "2",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """Everything that a worker is told when it starts. Durations are seconds."""

    pool: str
    """Empty outside a pool."""
    namespace: str
    version: str
    pod: str
    node: str
    collector: str
    """host:port, empty when there is none."""
    slots: int
    """Jobs at a time."""
    heartbeat_seconds: float
    drain_seconds: float
    stuck_seconds: float
    slow_job_seconds: float
    """From when on an attempt counts as slow, unless its handler says otherwise."""
    policy: Policy
    """Retry policy, lease and limits until live settings come."""
    sources: tuple[Source, ...]

    @classmethod
    def from_env(cls, env: Mapping[str, str], *, source: Source | None = None) -> "Contract":
        """Read the contract. `source` is a queue that the program chose; in a pool the environment names them.

        Raises:
            ConfigurationError: something is missing or wrong; the text names the variable.
        """
        without_queues = cls.without_queues(env)
        sources = _sources(env, pool=without_queues.pool, chosen=source)
        require(without_queues.policy, sources)
        return replace(without_queues, sources=sources)

    @classmethod
    def without_queues(cls, env: Mapping[str, str]) -> "Contract":
        """The contract of a worker whose library knows itself where its jobs are.

        Raises:
            ConfigurationError: something is wrong; the text names the variable.
        """
        policy = Policy(
            max_attempts=_whole(env, "MAX_ATTEMPTS", least=1),
            backoff_seconds=_seconds(env, "BACKOFF_SECONDS", least=0),
            backoff_max_seconds=_seconds(env, "BACKOFF_MAX_SECONDS", least=0),
            lease_seconds=_seconds(env, "LEASE_SECONDS", least=0.1),
            rate_limit_per_second=_rate(env, "RATE_LIMIT_PER_SECOND"),
            concurrency_per_worker=_limit(env, "CONCURRENCY_PER_WORKER"),
            tenant_limits=_tenant_limits(env, "TENANT_LIMITS"),
            shed_after=_shed_after(env, "SHED_AFTER_SECONDS"),
        )
        return cls(
            pool=env.get("WORKERPOOL_NAME", ""),
            namespace=env.get("WORKERPOOL_NAMESPACE", ""),
            version=env.get("WORKERPOOL_VERSION", ""),
            pod=env.get("WORKERPOOL_POD", "") or socket.gethostname(),
            node=env.get("WORKERPOOL_NODE", ""),
            collector=env.get("WORKERPOOL_COLLECTOR", ""),
            slots=_whole(env, "MAX_WORKERS", least=1),
            heartbeat_seconds=_seconds(env, "HEARTBEAT_INTERVAL", least=0.1),
            drain_seconds=_seconds(env, "DRAIN_TIMEOUT", least=0),
            stuck_seconds=_seconds(env, "STUCK_AFTER", least=1),
            slow_job_seconds=_seconds(env, "SLOW_JOB_SECONDS", least=0),
            policy=policy,
            sources=(),
        )


def _sources(env: Mapping[str, str], *, pool: str, chosen: Source | None) -> tuple[Source, ...]:
    named = sources_from(env)
    if pool:
        if not named:
            raise ConfigurationError(
                "QUEUE_<NAME>_URL is missing: this worker belongs to a pool (WORKERPOOL_NAME is set), "
                "and a pool's queues come from its spec.queues"
            )
        for source in named.values():
            if source.local:
                variable = "QUEUE_" + source.name.upper().replace("-", "_") + "_URL"
                raise ConfigurationError(f"{variable}: a queue in memory or in a file cannot be shared by a pool")
        return tuple(named.values())
    if chosen is not None:
        return (chosen,)
    if not named:
        raise ConfigurationError(
            "no queue: set QUEUE_MAIN_URL and QUEUE_MAIN_STREAM, or ask for a local one by name: "
            "Worker('sqlite:///jobs.db')"
        )
    return tuple(named.values())


def _whole(env: Mapping[str, str], name: str, *, least: int) -> int:
    text = env.get(name, "") or _DEFAULTS[name]
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if value < least:
        raise ConfigurationError(f"{name} is {text!r}: write a whole number, at least {least}")
    return value


def _limit(env: Mapping[str, str], name: str) -> int | None:
    return _whole(env, name, least=1) if env.get(name) else None


def _seconds(env: Mapping[str, str], name: str, *, least: float) -> float:
    text = env.get(name, "") or _DEFAULTS[name]
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not least <= value < math.inf:
        raise ConfigurationError(f"{name} is {text!r}: write a number of seconds, at least {least:g}")
    return value


def _rate(env: Mapping[str, str], name: str) -> float | None:
    text = env.get(name, "")
    if not text:
        return None
    try:
        return _positive(text)
    except ValueError:
        raise ConfigurationError(
            f"{name} is {text!r}: write jobs per second, above 0, or leave it out for no limit"
        ) from None


def _tenant_limits(env: Mapping[str, str], name: str) -> dict[str, TenantLimit]:
    """As in `spec.delivery.tenantLimits`, in JSON."""
    try:
        return {tenant: _tenant_limit(**limit) for tenant, limit in json.loads(env.get(name, "") or "{}").items()}
    except (ValueError, TypeError, AttributeError) as error:
        example = '{"acme": {"ratePerSecond": 5, "maxInFlight": 2}, "*": {"maxInFlight": 10}}'
        raise ConfigurationError(f"{name} is {env[name]!r}: write JSON such as {example}") from error


def _tenant_limit(*, ratePerSecond: Any = None, maxInFlight: int | None = None) -> TenantLimit:  # noqa: N803
    if maxInFlight is not None and not (isinstance(maxInFlight, int) and maxInFlight >= 1):
        raise ValueError("maxInFlight")
    return TenantLimit(None if ratePerSecond is None else _positive(ratePerSecond), maxInFlight)


def _shed_after(env: Mapping[str, str], name: str) -> dict[str, float]:
    try:
        found = json.loads(env.get(name, "") or "{}")
        return {Priority(priority).value: _positive(seconds) for priority, seconds in found.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise ConfigurationError(
            f'{name} is {env[name]!r}: write seconds by priority, such as {{"low": 600}}'
        ) from error


def _positive(text: Any) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise ValueError(text)
    return value
