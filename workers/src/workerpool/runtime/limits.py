"""How fast a worker may take jobs: the pool's rate, and its own while its version is tried."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from workerpool.broker import Broker
from workerpool.runtime.contract import Contract
from workerpool.runtime.live import LiveSettings
from workerpool.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from workerpool.guards.pace import Pace
    from workerpool.guards.rate import RateLimiter


class Limits:
    """Of one worker. What keeps a limit is made when that is in force for the first time."""

    def __init__(
        self,
        contract: Contract,
        live: LiveSettings,
        *,
        beside: Callable[[], Broker],
        metrics: Metrics,
        changed: Callable[[], None],
    ) -> None:
        """`beside`: which queue the pool's tokens lie, the same for all of its workers."""
        self._contract = contract
        self._live = live
        self._beside = beside
        self._metrics = metrics
        self._changed = changed
        self._pace: Pace | None = None
        self.pool: RateLimiter | None = None
        """That of the pool's rate; None: it never had one."""

    def now(self) -> "RateLimiter | Pace | None":
        """That of the limit in force; None: there is none."""
        if self._live.policy.take_rate is None:
            return self._pool()
        if self._pace is None:
            from workerpool.guards.pace import Pace  # noqa: PLC0415  only the workers of a version that is tried

            self._pace = Pace(
                rate=lambda: self._live.policy.take_rate,
                pool=self._pool,
                changed=self._changed,
                clock=asyncio.get_running_loop().time,
            )
        return self._pace

    @property
    def waiting(self) -> str:
        """Which of them nothing is taken for; empty: none."""
        if self._pace is not None and self._pace.waiting:
            return "take rate"
        return "rate limit" if self.pool is not None and self.pool.waiting else ""

    def _pool(self) -> "RateLimiter | None":
        if self._live.policy.rate_limit_per_second is None:
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
