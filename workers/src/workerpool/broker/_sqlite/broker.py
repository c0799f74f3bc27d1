"""The broker in an SQLite file: for one machine, and for local work that should survive a restart.

SQLite is called on one thread of its own per broker. There is nothing to wait on in SQLite, so `take` polls.
"""

import asyncio
import json
import sqlite3
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, TypeVar
from urllib.parse import unquote, urlsplit

from workerpool.broker._bucket import Level, draw
from workerpool.broker._sqlite import clock, dead, fair
from workerpool.broker._sqlite.put import put
from workerpool.broker._sqlite.schema import identify, open_file
from workerpool.broker._sqlite.take import Taker, take
from workerpool.broker._sqlite.tenants import Rooms, announce
from workerpool.broker._tenants import encode
from workerpool.broker._types import (
    Capabilities,
    DeadJob,
    DeadJobs,
    DeadLetter,
    DeathReason,
    Depth,
    NewJob,
    Retry,
    Taken,
    TenantLimit,
    Tokens,
)
from workerpool.errors import BadAnswer, BrokerUnavailable, ConfigurationError

CAPABILITIES: Final = Capabilities(
    lease=True,
    extend=True,
    delay=True,
    deduplicate=True,
    oldest_age=True,
    in_flight=True,
    arrivals=True,
    notifies=False,
    priority=True,
    fair=True,
    ordering=True,
    tokens=True,
    tenant_limits=True,
    expiry=True,
    competing=True,
    shared=False,
)
_POLL_SECONDS: Final = 0.02
_DEPTH: Final = """
SELECT count(*) FILTER (WHERE owner IS NULL AND due <= :now),
       count(*) FILTER (WHERE owner IS NOT NULL),
       count(*) FILTER (WHERE owner IS NULL AND due > :now),
       min(due) FILTER (WHERE owner IS NULL AND due <= :now),
       coalesce((SELECT value FROM stats WHERE name = 'put'), 0)
           - count(*) FILTER (WHERE owner IS NULL AND due > :now AND attempts = 0),
       (SELECT count(*) FROM dead)
FROM jobs
"""

T = TypeVar("T")


class SqliteBroker:
    """See `Broker`. The file is made when it is not there."""

    def __init__(self, url: str, *, consumer: str, lease_seconds: float, timeout: float) -> None:
        path = unquote(urlsplit(url).path)
        # As in SQLAlchemy: three slashes for a relative path, four for an absolute one.
        self._path = path[1:]
        if not self._path or urlsplit(url).netloc:
            raise ConfigurationError("an SQLite URL looks like sqlite:///jobs.db or sqlite:////var/lib/jobs.db")
        self._consumer = consumer or uuid.uuid4().hex
        self._lease = lease_seconds
        self._timeout = timeout
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="workerpool-sqlite")
        self._database: sqlite3.Connection | None = None
        self._closed = False
        self._identity = ""
        self._interrupted = False
        self._one_take = asyncio.Lock()
        self._shed_after: Mapping[str, float] = {}
        self._dropped: Counter[DeathReason] = Counter()
        self._limits = self._limits_said = ""  # of tenants, as they are announced

    @property
    def capabilities(self) -> Capabilities:
        """Everything but telling of arrivals, and being reachable from other machines."""
        return CAPABILITIES

    @property
    def stream(self) -> str:
        """The file's path, as it was given."""
        return self._path

    @property
    def identity(self) -> str:
        """A row in the file."""
        return self._identity

    @property
    def connected(self) -> bool:
        """A file is there or not."""
        return True

    @property
    def lease_seconds(self) -> float:
        """How long a job stays ours without an `extend`."""
        return self._lease

    def set_lease(self, seconds: float) -> None:
        """Change the lease for what is taken or extended from now on."""
        self._lease = seconds

    def limit_tenants(self, limits: Mapping[str, TenantLimit]) -> None:
        """Kept in the file."""
        self._limits = encode(limits)

    def shed_after(self, seconds: Mapping[str, float]) -> None:
        """For our own takes."""
        self._shed_after = seconds

    def dropped(self) -> Mapping[DeathReason, int]:
        """Counted by us."""
        dropped, self._dropped = self._dropped, Counter()
        return dropped

    async def put(self, jobs: Sequence[NewJob], *, max_depth: int | None = None) -> int:
        """Put jobs in one transaction; see `Broker`."""
        return await self._transact(lambda database: put(database, jobs, max_depth))

    async def take(self, *, limit: int, wait: float, without: frozenset[str] = frozenset()) -> list[Taken]:
        """Polls; see `Broker`."""
        deadline = time.monotonic() + wait
        who = Taker(self._consumer, self._lease, dict(self._shed_after), json.dumps(sorted(without)))
        taking = partial(take, who=who, limit=limit)
        async with self._one_take:
            self._identity = self._identity or await self._transact(identify)
            while True:
                if self._limits != self._limits_said:
                    await self.maintain()
                found, dropped = await self._transact(taking)
                self._dropped += dropped
                if found or self._interrupted or time.monotonic() >= deadline:
                    return found
                if not dropped:
                    await asyncio.sleep(_POLL_SECONDS)

    async def interrupt(self) -> None:
        """End our own `take` at its next poll."""
        self._interrupted = True
        async with self._one_take:
            self._interrupted = False

    async def ack(self, jobs: Sequence[Taken]) -> frozenset[str]:
        """Delete those that are still ours."""
        statement = "DELETE FROM jobs WHERE serial = ? AND owner = ?"
        return await self._change(statement, lambda _: {job.token: () for job in jobs})

    async def extend(self, jobs: Sequence[Taken]) -> frozenset[str]:
        """Renew the leases of those that are still ours."""
        statement = "UPDATE jobs SET lease_until = ? WHERE serial = ? AND owner = ?"
        lease = self._lease
        return await self._change(statement, lambda now: {job.token: (now + lease,) for job in jobs})

    def let_go(self, jobs: Sequence[Taken]) -> None:
        """Whose lease expires is taken anew, whoever had it."""

    async def checkpoint(self, job: Taken, state: bytes) -> bool:
        """A column of the job's row."""
        statement = "UPDATE jobs SET checkpoint = ? WHERE serial = ? AND owner = ?"
        return not await self._change(statement, lambda _: {job.token: (state,)})

    async def retry_later(self, retries: Sequence[Retry]) -> frozenset[str]:
        """Make those that are still ours due later."""
        statement = (
            "UPDATE jobs SET due = ?, begun = 0, redelivered = 0, tag = NULL, owner = NULL, lease_until = NULL "
            "WHERE serial = ? AND owner = ?"
        )
        return await self._change(statement, lambda now: {retry.job.token: (now + retry.delay,) for retry in retries})

    async def hand_back(self, jobs: Sequence[Taken]) -> frozenset[str]:
        """Let those that are still ours wait again."""
        statement = (
            "UPDATE jobs SET attempts = attempts - 1, begun = ?, owner = NULL, lease_until = NULL "
            "WHERE serial = ? AND owner = ?"
        )

        def hand_back(database: sqlite3.Connection) -> frozenset[str]:
            lost = _change(database, statement, {job.token: (job.begun,) for job in jobs}, owner=self._consumer)
            rooms = Rooms(database, time.time())
            for job in jobs:
                if job.tenant and job.token not in lost:
                    rooms.spend(job.tenant, -1)
            return lost

        return await self._transact(hand_back)

    async def dead_letter(self, letters: Sequence[DeadLetter]) -> frozenset[str]:
        """Move those that are still ours to the dead letters."""
        return await self._transact(lambda database: dead.bury(database, letters, owner=self._consumer))

    async def dead_letters(self, *, limit: int, after: str = "") -> list[DeadJob]:
        """Rows of the dead letters."""
        return await self._transact(lambda database: dead.page(database, limit=limit, after=int(after or 0)))

    async def redrive(self, which: DeadJobs) -> int:
        """Move them back, chunk by chunk."""
        return await self._remove(which, redrive=True)

    async def purge(self, which: DeadJobs) -> int:
        """Delete them, chunk by chunk."""
        return await self._remove(which, redrive=False)

    async def take_tokens(self, bucket: str, *, count: int, rate: float, burst: float) -> Tokens:
        """A row per bucket."""

        def take_them(database: sqlite3.Connection) -> Tokens:
            row = database.execute("SELECT tokens, at FROM buckets WHERE name = ?", (bucket,)).fetchone()
            level, tokens = draw(row and Level(*row), now=time.time(), count=count, rate=rate, burst=burst)
            database.execute("INSERT OR REPLACE INTO buckets VALUES (?, ?, ?)", (bucket, *level))
            return tokens

        return await self._transact(take_them)

    async def maintain(self) -> float:
        """Forget old job ids, announce the limits of tenants. Delayed jobs need no help: `take` looks at the clock."""
        limits = self._limits

        def tidy(database: sqlite3.Connection) -> None:
            now = time.time()
            clock.note(database)
            database.execute("DELETE FROM seen WHERE until <= ?", (now,))
            announce(database, limits, now=now)

        await self._transact(tidy)
        self._limits_said = limits
        return 1.0

    async def depth(self) -> Depth:
        """One transaction, so all figures are of one moment."""
        now = time.time()
        row, blocked = await self._transact(
            lambda database: (database.execute(_DEPTH, {"now": now}).fetchone(), fair.blocked(database, now))
        )
        waiting, in_flight, delayed, oldest, arrivals, dead = row
        age = max(0.0, now - oldest) if oldest is not None else 0.0
        return Depth(waiting, in_flight, delayed, age, arrivals, dead, blocked)

    async def wait_for_arrival(self, seconds: float) -> bool:
        """Lets the time pass: SQLite tells nobody of changes."""
        await asyncio.sleep(seconds)
        return False

    async def close(self) -> None:
        """Close the file. What we hold comes back when its lease expires."""

        def close() -> None:
            if self._database is not None:
                self._database.close()
                self._database = None

        if not self._closed:
            self._closed = True
            await asyncio.get_running_loop().run_in_executor(self._thread, close)
            self._thread.shutdown(wait=False)

    async def _remove(self, which: DeadJobs, *, redrive: bool) -> int:
        last = await self._transact(dead.newest)
        total, moved = 0, dead.CHUNK
        while moved == dead.CHUNK:
            moved = await self._transact(lambda database: dead.remove(database, which, last, redrive=redrive))
            which.moved(moved)
            total += moved
        return total

    async def _change(self, statement: str, values: Callable[[float], Mapping[str, tuple[Any, ...]]]) -> frozenset[str]:
        """`values` by token, given the time: that of the transaction, see `clock`."""
        return await self._transact(
            lambda database: _change(database, statement, values(time.time()), owner=self._consumer)
        )

    async def _transact(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._on_thread, work)

    def _on_thread(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            if self._database is None:
                self._database = open_file(self._path, self._timeout)
            database = self._database
            database.execute("BEGIN IMMEDIATE")
            try:
                clock.follow(database)
                result = work(database)
            except BaseException:
                database.execute("ROLLBACK")
                raise
            database.execute("COMMIT")
        except sqlite3.OperationalError as error:  # cannot open, locked for too long, disk full
            raise BrokerUnavailable(f"{self._path}: {error}") from error
        except sqlite3.DatabaseError as error:
            raise BadAnswer(f"{self._path}: {error}") from error
        return result


def _change(
    database: sqlite3.Connection, statement: str, values: Mapping[str, tuple[Any, ...]], *, owner: str
) -> frozenset[str]:
    """Run a statement for each token; its last two parameters are the token and its owner."""
    return frozenset(
        token for token, before in values.items() if not database.execute(statement, (*before, token, owner)).rowcount
    )
