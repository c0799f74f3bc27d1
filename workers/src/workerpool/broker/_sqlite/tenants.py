"""Limits of tenants in tables; the rules are those of `workerpool.broker._tenants`.

In flight is what has an owner: nothing is counted apart from the jobs themselves.
"""

import json
import math
import sqlite3
from functools import lru_cache

from workerpool.broker._bucket import Level, burst, filled
from workerpool.broker._tenants import Limits, decode, heard, limit_of, room, strictest
from workerpool.broker._types import TenantLimit

_WAITING = "SELECT DISTINCT tenant FROM jobs WHERE owner IS NULL AND due <= ? AND tenant != ''"
_RUNNING = "SELECT count(*) FROM jobs WHERE owner IS NOT NULL AND tenant = ?"


def announce(database: sqlite3.Connection, text: str, *, now: float) -> None:
    """A consumer was told these limits; see `_tenants.encode`."""
    said: dict[str, float] = dict(database.execute("SELECT limits, at FROM said"))
    if said or text:
        said = heard(said, text, now=now)
        database.execute("DELETE FROM said")
        database.executemany("INSERT INTO said VALUES (?, ?)", said.items())


class Rooms:
    """How many more jobs of each tenant with a limit may begin at one moment. Only those that have jobs waiting."""

    def __init__(self, database: sqlite3.Connection, now: float) -> None:
        self._database = database
        self._now = now
        self._limits = _merged(tuple(text for (text,) in database.execute("SELECT limits FROM said")))
        waiting = database.execute(_WAITING, (now,)).fetchall() if self._limits else ()
        self.free = {
            tenant: self._room(tenant, limit)
            for (tenant,) in waiting
            if (limit := limit_of(self._limits, tenant)) is not None
        }

    @property
    def full(self) -> str:
        """Tenants without room, as a JSON list."""
        return json.dumps([tenant for tenant, free in self.free.items() if free < 1])

    def spend(self, tenant: str, count: int = 1) -> None:
        """A job of it was chosen; -1: one that did not run was handed back."""
        if tenant in self.free:
            self.free[tenant] -= count
        limit = limit_of(self._limits, tenant)
        if limit is not None and (rate := limit.rate_per_second) is not None:
            there = filled(self._level(tenant), now=self._now, rate=rate, burst=burst(rate))
            left = min(burst(rate), there - count)
            self._database.execute(
                "INSERT OR REPLACE INTO buckets VALUES (?, ?, ?)", (_bucket(tenant), left, self._now)
            )

    def _room(self, tenant: str, limit: TenantLimit) -> float:
        [running] = self._database.execute(_RUNNING, (tenant,)).fetchone()
        free, _ = room(limit, running=running, level=self._level(tenant), now=self._now)
        return math.inf if free == math.inf else int(free)

    def _level(self, tenant: str) -> Level | None:
        row = self._database.execute("SELECT tokens, at FROM buckets WHERE name = ?", (_bucket(tenant),)).fetchone()
        if row and row[1] > self._now:  # the clock was set back
            row = (row[0], self._now)
            self._database.execute("UPDATE buckets SET at = ? WHERE name = ?", (self._now, _bucket(tenant)))
        return row and Level(*row)


def _bucket(tenant: str) -> str:
    return f"tenant:{tenant}"


@lru_cache(maxsize=8)
def _merged(said: tuple[str, ...]) -> Limits:
    return strictest(decode(text) for text in said)
