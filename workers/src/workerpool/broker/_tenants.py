"""How much of a queue one tenant may use at a time: jobs in flight, and jobs begun per second. Pure.

A limit holds for all consumers of the queue together, so it is kept where jobs are chosen. A job of a tenant that is at
its limit stays where it is, and is passed by those of the others.

**Who says what holds**: each consumer announces the limits that it was told, again and again. Those that were
announced within `SAY_SECONDS` before the latest announcement hold, and where they differ the strictest: so consumers
that are told of a change one after the other do not undo each other's limits, and what was said last holds while nobody
says anything.

**In flight** is counted from the jobs that are, so a count cannot leak: a job whose consumer died is in flight until
its lease expires and somebody else has finished it. One that is taken over in this way asks nobody, whatever the limit.
A limit below what is in flight stops nothing; none are begun until it is kept.

**The rate** is that of a token bucket (`_bucket.py`) by the broker's clock, from which a job takes a token when it is
chosen, whether for its first attempt or another.

SQLite (`_sqlite/fair.py`) and Redis (`_redis/lua/tenants.lua`) make the same decisions.
"""

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

from workerpool.broker._bucket import Level, burst, filled
from workerpool.broker._types import EACH_TENANT, TenantLimit

SAY_SECONDS: Final = 1.6
"""More than a period of upkeep, in which a living consumer repeats its announcement. One that is late for once loses
its say only where others were told something else, and a limit that was raised acts so much later."""
LOOK_AGAIN_SECONDS: Final = 1.0
"""A tenant with too many jobs in flight is looked at again when one of them ends, and after this time at the latest."""

Limits = Mapping[str, TenantLimit]


def limit_of(limits: Limits, tenant: str) -> TenantLimit | None:
    """What holds for this tenant. Jobs without one have no limit."""
    return (limits.get(tenant) or limits.get(EACH_TENANT)) if tenant else None


def encode(limits: Limits) -> str:
    """As it is announced: the same text for the same limits, empty for none."""
    if not limits:
        return ""
    flat = {tenant: [limit.rate_per_second, limit.max_in_flight] for tenant, limit in limits.items()}
    return json.dumps(flat, sort_keys=True, separators=(",", ":"))


def decode(text: str) -> dict[str, TenantLimit]:
    """The limits in an announcement."""
    return {tenant: TenantLimit(*values) for tenant, values in json.loads(text).items()} if text else {}


def heard(said: Mapping[str, float], text: str, *, now: float) -> dict[str, float]:
    """Announcements, and when each was last made, after one more of them; those that do not hold any more are gone."""
    return {one: at for one, at in {**said, text: now}.items() if now - SAY_SECONDS <= at <= now}


def strictest(said: Iterable[Limits]) -> dict[str, TenantLimit]:
    """What holds when consumers were told different limits. One that knows of no limit has no say."""
    known = [limits for limits in said if limits]
    tenants = {tenant for limits in known for tenant in limits}
    return {
        tenant: TenantLimit(
            _least(limit.rate_per_second for limit in found), _least(limit.max_in_flight for limit in found)
        )
        for tenant in tenants
        if (found := [limit for limits in known if (limit := limits.get(tenant) or limits.get(EACH_TENANT))])
    }


def _least(numbers: Iterable[float | int | None]) -> Any:
    return min((number for number in numbers if number is not None), default=None)


def room(limit: TenantLimit | None, *, running: int, level: Level | None, now: float) -> tuple[float, float]:
    """How many more jobs of a tenant may begin now (inf: any number), and when to look again if none may."""
    if limit is None:
        return math.inf, now
    free = math.inf if limit.max_in_flight is None else max(0, limit.max_in_flight - running)
    again = now + LOOK_AGAIN_SECONDS
    rate = limit.rate_per_second
    if free and rate is not None:
        there = filled(level, now=now, rate=rate, burst=burst(rate))
        free, again = min(free, math.floor(there)), now + max(0.001, (1.0 - there) / rate)
    return free, again


class Tenants:
    """The limits, and what counts against them, in one process."""

    def __init__(self) -> None:
        self._said: dict[str, float] = {}
        self._limits: Limits = {}
        self._running: dict[str, int] = {}
        self._levels: dict[str, Level] = {}

    def announce(self, limits: Limits, *, now: float) -> None:
        """A consumer was told these."""
        text = encode(limits)
        if not text and not self._said:
            return
        before, self._said = self._said.keys(), heard(self._said, text, now=now)
        if before != self._said.keys():
            self._limits = strictest(decode(one) for one in self._said)
            self._levels = {tenant: level for tenant, level in self._levels.items() if self._rate(tenant)}

    def limited(self, tenant: str) -> bool:
        """Whether there is a limit for it."""
        return limit_of(self._limits, tenant) is not None

    def room(self, tenant: str, *, now: float) -> tuple[float, float]:
        """See `room`."""
        limit = limit_of(self._limits, tenant) if self._limits else None
        return room(limit, running=self._running.get(tenant, 0), level=self._levels.get(tenant), now=now)

    def began(self, tenant: str, *, now: float) -> None:
        """One of its jobs was chosen."""
        if tenant:
            self._running[tenant] = self._running.get(tenant, 0) + 1
            self._spend(tenant, 1, now)

    def ended(self, tenant: str, *, now: float, unused: bool = False) -> None:
        """One is not in flight any more. `unused`: it did not run, so its token is given back."""
        if tenant:
            self._running[tenant] -= 1
            if not self._running[tenant]:
                del self._running[tenant]
            if unused:
                self._spend(tenant, -1, now)

    def _rate(self, tenant: str) -> float | None:
        limit = limit_of(self._limits, tenant)
        return limit.rate_per_second if limit else None

    def _spend(self, tenant: str, count: int, now: float) -> None:
        rate = self._rate(tenant)
        if rate is not None:
            there = filled(self._levels.get(tenant), now=now, rate=rate, burst=burst(rate))
            self._levels[tenant] = Level(min(burst(rate), there - count), now)
