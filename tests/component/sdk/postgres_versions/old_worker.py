"""A worker of version 1 of the tables: the statements that it was made with, which never change here.

`1.sql` beside it is what made the tables then. A later version adds a file of its own; these stay for as long as
`schema.OLDEST` lets programs of theirs work.
"""

from pathlib import Path
from typing import Any, Final, Self

import asyncpg

TABLES: Final = Path(__file__).with_name("1.sql").read_text()

_TAKE: Final = "SELECT * FROM workerpool.take($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
_MINE: Final = """
FROM unnest($1::bigint[], $2::int[]) AS mine (serial, attempt)
WHERE jobs.serial = mine.serial AND jobs.attempts = mine.attempt AND jobs.owner = $3
"""
_ACK: Final = f"DELETE FROM workerpool.jobs {_MINE.replace('FROM', 'USING', 1)} RETURNING jobs.serial"
_EXTEND: Final = f"""
UPDATE workerpool.jobs SET lease_until = extract(epoch FROM clock_timestamp()) + $4::float8 {_MINE}
RETURNING jobs.serial
"""
_RETRY: Final = """
UPDATE workerpool.jobs
SET due = extract(epoch FROM clock_timestamp()) + mine.delay, begun = false, tag = NULL, owner = NULL,
    lease_until = NULL
FROM unnest($1::bigint[], $2::int[], $5::float8[]) AS mine (serial, attempt, delay)
WHERE jobs.serial = mine.serial AND jobs.attempts = mine.attempt AND jobs.owner = $3
RETURNING jobs.serial, pg_notify($4, 'later')::text
"""
_CHECKPOINT: Final = """
UPDATE workerpool.jobs SET checkpoint = $4 WHERE serial = $1 AND attempts = $2 AND owner = $3 RETURNING serial
"""
_HAND_BACK: Final = "SELECT * FROM workerpool.hand_back($4, $5, $3, $1, $2, $6)"
_DEAD_LETTER: Final = "SELECT * FROM workerpool.dead_letter($4, $3, $1, $2, $5, $6, $7, $8, $9)"
_PUT: Final = "SELECT workerpool.put($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) AS put"
_DRAW: Final = "SELECT * FROM workerpool.draw($1, $2, $3, $4, $5)"
_MAINTAIN: Final = "SELECT workerpool.maintain($1, $2)::text"
_DEPTH: Final = "SELECT * FROM workerpool.depth($1)"
_REMOVE: Final = "SELECT workerpool.remove_dead($1, $2, $3, $4, $5, $6) AS removed"
_PAGE: Final = """
SELECT serial, id, type, payload, attempts, reason, error, traceback, version, worker, at, tenant, priority, key, trace
FROM workerpool.dead WHERE queue = $1 AND serial > $2 ORDER BY serial LIMIT $3
"""
_CHANNEL: Final = "c"


class OldWorker:
    """One connection, with statements that stay prepared over what others do to the tables, as theirs were."""

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]", name: str) -> None:
        self._connection = connection
        self._name = name
        self._queue = 0
        self._prepared: dict[str, Any] = {}

    @classmethod
    async def begin(cls, address: str, name: str) -> Self:
        connection = await asyncpg.connect(address, statement_cache_size=0)
        worker = cls(connection, name)
        await worker._run("INSERT INTO workerpool.queues (name) VALUES ($1) ON CONFLICT DO NOTHING", name)
        [row] = await worker._run("SELECT queue, identity FROM workerpool.queues WHERE name = $1", name)
        worker._queue = row["queue"]
        return worker

    async def put(self, *payloads: bytes) -> None:
        n = len(payloads)
        same: tuple[list[Any], ...] = ([0.0] * n, [""] * n, ["normal"] * n, [""] * n, [""] * n, [None] * n)
        head = (self._queue, self._name, _CHANNEL, None, 600.0)
        await self._run(_PUT, *head, [""] * n, ["t"] * n, list(payloads), *same)

    async def take(self, limit: int) -> list[tuple[int, int, bytes]]:
        """Serial, attempt and payload."""
        head = (self._queue, self._name, "old", 60.0, limit)
        rows = await self._run(_TAKE, *head, [], [], *(True, False), [], [])
        return [(row["serial"], row["attempts"], row["payload"]) for row in rows if row["what"] == "job"]

    async def ack(self, job: tuple[int, int, bytes]) -> bool:
        return bool(await self._run(_ACK, [job[0]], [job[1]], "old"))

    async def use_everything(self) -> int:
        """Each of the statements once, on five jobs of its own; returns how many jobs are then left in the queue."""
        await self.put(*(b"1" for _ in range(5)))
        first, *rest = await self.take(5)
        mine = [([serial], [attempt], "old") for serial, attempt, _ in rest]
        assert await self._run(_EXTEND, *mine[0], 60.0)
        assert await self._run(_CHECKPOINT, rest[0][0], rest[0][1], "old", b"{}")
        assert await self._run(_RETRY, *mine[0], _CHANNEL, [0.0])
        assert await self._run(_HAND_BACK, *mine[1], self._queue, _CHANNEL, [False])
        assert await self._run(_DEAD_LETTER, *mine[2], self._queue, ["rejected"], ["e"], ["t"], ["v"], ["w"])
        [dead] = await self._run(_PAGE, self._queue, 0, 9)
        assert (dead["reason"], dead["error"]) == ("rejected", "e")
        [removed] = await self._run(_REMOVE, self._queue, _CHANNEL, "", "", *(dead["serial"], True))
        assert removed["removed"] == 1
        assert await self.ack(rest[3])
        assert await self.ack(first)
        [drawn] = await self._run(_DRAW, self._queue, "b", 1, 1e6, 9.0)
        assert (drawn["granted"], drawn["retry_after"]) == (1, 0.0)
        await self._run(_MAINTAIN, self._queue, "")
        [depth] = await self._run(_DEPTH, self._name)
        assert len(depth) == 7
        return int(depth["waiting"])

    async def close(self) -> None:
        await self._connection.close()

    async def _run(self, query: str, *arguments: Any) -> list[Any]:
        if query not in self._prepared:
            self._prepared[query] = await self._connection.prepare(query)
        return list(await self._prepared[query].fetch(*arguments))
