"""How fast a worker may take jobs: the pool's rate, and its own while its version is tried.

Where the brokers keep count (`Capabilities.tokens`), all workers of a pool draw from one bucket. Where one of them
cannot, the operator gives each worker its share of the pool's rate, which it keeps by itself: one that has a collector
and was told no share yet takes nothing; one that has none is alone, and the whole limit is its own.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from workerpool.broker import Broker
from workerpool.runtime.contract import Contract
from workerpool.runtime.live import LiveSettings
from workerpool.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from workerpool.guards.pace import Pace
    from workerpool.guards.rate import RateLimiter


SHARE_BURST_SECONDS: Final = 0.25
"""So much of a share that was not used may be made up for: as much as of the bucket in a broker."""


class Limits:
    """Of one worker. What keeps a limit is made when that is in force for the first time."""

    def __init__(
        self,
        contract: Contract,
        live: LiveSettings,
        *,
        beside: Callable[[], Broker],
        counted: Callable[[], bool],
        metrics: Metrics,
        changed: Callable[[], None],
    ) -> None:
        """`beside`: which queue the pool's tokens lie, the same for all of its workers.

        `counted`: whether all of its brokers keep count for all workers.
        """
        self._contract = contract
        self._live = live
        self._beside = beside
        self._counted = counted
        self._metrics = metrics
        self._changed = changed
        self._pace: Pace | None = None
        self.pool: RateLimiter | None = None
        """That of the pool's rate; None: it never had one."""

    def now(self) -> "RateLimiter | Pace | None":
        """That of the limit in force; None: there is none."""
        if self._own() is None:
            return self._pool()
        if self._pace is None:
            from workerpool.guards.pace import BURST_SECONDS, Pace  # noqa: PLC0415  most workers have none

            self._pace = Pace(
                rate=self._own,
                pool=self._pool,
                changed=self._pace_changed,
                clock=asyncio.get_running_loop().time,
                burst=lambda: SHARE_BURST_SECONDS if self._by_share else BURST_SECONDS,
                first=1.0 if self._share() is None else 0.0,
            )
        return self._pace

    @property
    def waiting(self) -> str:
        """Which of them nothing is taken for; empty: none."""
        if self._pace is not None and self._pace.waiting:
            return "rate limit" if self._by_share else "take rate"
        return "rate limit" if self.pool is not None and self.pool.waiting else ""

    @property
    def _by_share(self) -> bool:
        """Whether it is the share that holds this worker back, not what the workers of its version may take."""
        share, rate = self._share(), self._live.policy.take_rate
        return share is not None and (rate is None or share <= rate)

    def _own(self) -> float | None:
        """Jobs per second of this worker alone; None: no limit of its own."""
        share, rate = self._share(), self._live.policy.take_rate
        return share if self._by_share else rate

    def _share(self) -> float | None:
        """Its part of the pool's rate; None: that is kept otherwise, or there is none."""
        limit = self._live.policy.rate_limit_per_second
        if limit is None or self._counted():
            return None
        if not self._contract.collector:
            return limit
        share = self._live.share
        return 0.0 if share is None else min(share.per_second, limit)

    def _pace_changed(self) -> None:
        assert self._pace is not None
        self._metrics.rate_limited += self._pace.waiting and self._by_share
        self._changed()

    def _pool(self) -> "RateLimiter | None":
        if self._live.policy.rate_limit_per_second is None or not self._counted():
            return None
        if self.pool is None:
            from workerpool.guards.rate import RateLimiter  # noqa: PLC0415  most pools have no limit

            self.pool = RateLimiter(
                self._beside(),
                f"pool:{self._contract.namespace}/{self._contract.pool}",
                rate=lambda: self._live.policy.rate_limit_per_second,
                metrics=self._metrics,
                changed=self._changed,
            )
        return self.pool
