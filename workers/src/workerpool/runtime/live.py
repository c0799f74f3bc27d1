"""Live settings: what the collector last said, for as long as it holds."""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from workerpool.broker import TenantLimit


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How jobs are retried, how long a lease is, which jobs may begin, and how many, and how many run at a time.

    The protocol's `Delivery`, without what it takes to parse it.
    """

    max_attempts: int
    backoff_seconds: float
    backoff_max_seconds: float
    lease_seconds: float
    rate_limit_per_second: float | None = None
    """Jobs that the whole pool begins per second; None: no limit."""
    concurrency_per_worker: int | None = None
    """Jobs that this worker runs at a time at most; None: as many as it has slots."""
    tenant_limits: Mapping[str, TenantLimit] = field(default_factory=dict)
    """See `Broker.limit_tenants`."""
    shed_after: Mapping[str, float] = field(default_factory=dict)
    """See `Broker.shed_after`."""
    take_rate: float | None = None
    """Jobs that this worker begins per second at most; None: no limit of its own. Lapses with the settings."""
    late_after: float | None = None
    """Seconds after a job was due from which on it is late; None: none is. Lapses with the settings."""
    slow_after: float | None = None
    """Seconds from which on an attempt is slow; None: as SLOW_JOB_SECONDS says."""


class Share(NamedTuple):
    """The protocol's `Share`."""

    id: str
    per_second: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What the collector says: the protocol's `Settings`."""

    ttl_seconds: float = 30.0
    fence: str = ""
    policy: Policy | None = None
    share: Share | None = None
    """None: nothing new is said of it."""


class LiveSettings:
    """The settings in force: the collector's until they lapse, else the environment's, but for the limits."""

    def __init__(
        self, defaults: Policy, *, slow_after: float = 2.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._defaults = defaults
        self._slow_after = slow_after
        self._clock = clock
        self._orders: Orders | None = None
        self._until = 0.0
        self.share: Share | None = None
        """What this worker may begin of the pool's limit, as it was told last; None: never, under this limit."""

    def apply(self, orders: Orders) -> None:
        """Replace what was said before."""
        self._orders = orders
        self.share = orders.share or self.share
        if orders.policy is not None:
            if orders.policy.rate_limit_per_second is None:
                self.share = None  # of a limit that is no more
            # Limits outlast the settings: what they protect needs them no less while the collector is away. And what is
            # slow stays so: else a canary would be judged by the jobs of one version that went on as it was.
            said = orders.policy
            self._defaults = replace(
                self._defaults,
                rate_limit_per_second=said.rate_limit_per_second,
                concurrency_per_worker=said.concurrency_per_worker,
                tenant_limits=said.tenant_limits,
                shed_after=said.shed_after,
                slow_after=said.slow_after,
            )
        self._until = self._clock() + orders.ttl_seconds

    @property
    def _current(self) -> Orders | None:
        if self._orders is not None and self._clock() >= self._until:
            self._orders = None
        return self._orders

    @property
    def fence(self) -> str:
        """Id of the fence; empty: jobs may be taken."""
        return self._current.fence if self._current else ""

    @property
    def policy(self) -> Policy:
        """Retry policy and lease, and the latest limits that were heard of."""
        said = self._current.policy if self._current else None
        return said or self._defaults

    @property
    def slow_after(self) -> float:
        """Seconds from which on an attempt is slow: as was heard last, else as the environment says."""
        said = self.policy.slow_after
        return self._slow_after if said is None else said

    @property
    def lapses_in(self) -> float | None:
        """Seconds until the settings lapse, None when there are none."""
        return None if self._current is None else max(0.0, self._until - self._clock())


def retry_delay(policy: Policy, *, failures: int, chance: Callable[[], float] = random.random) -> float:
    """Seconds until the next attempt: uniform(0, min(cap, base * 2^n)), n = failures before this one.

    Full jitter, from "Exponential Backoff And Jitter" (M. Brooker, 2015): of the usual forms it makes the fewest calls
    to what is already failing.
    """
    exponent = min(max(0, failures - 1), 62)
    ceiling: float = min(policy.backoff_max_seconds, policy.backoff_seconds * 2**exponent)
    return chance() * ceiling
