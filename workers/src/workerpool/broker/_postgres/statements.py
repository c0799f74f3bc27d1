"""The statements, each of them one round trip. Those that settle jobs return the serials of the ones that were ours."""

from typing import Final

VERSION: Final = """
SELECT version, coalesce((to_jsonb(v) ->> 'oldest')::int, 1) AS oldest FROM workerpool.schema_version AS v
"""
"""Version 1 had no column `oldest`."""
FIND: Final = "SELECT queue, identity FROM workerpool.queues WHERE name = $1"
ADD: Final = "INSERT INTO workerpool.queues (name) VALUES ($1) ON CONFLICT DO NOTHING"

PUT: Final = "SELECT workerpool.put($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) AS put"
TAKE: Final = "SELECT * FROM workerpool.take($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
DRAW: Final = "SELECT * FROM workerpool.draw($1, $2, $3, $4, $5)"
MAINTAIN: Final = "SELECT workerpool.maintain($1, $2)::text"
DEPTH: Final = "SELECT * FROM workerpool.depth($1)"

_MINE: Final = """
FROM unnest($1::bigint[], $2::int[]) AS mine (serial, attempt)
WHERE jobs.serial = mine.serial AND jobs.attempts = mine.attempt AND jobs.owner = $3
"""
ACK: Final = f"DELETE FROM workerpool.jobs {_MINE.replace('FROM', 'USING', 1)} RETURNING jobs.serial"  # noqa: S608
EXTEND: Final = f"""
UPDATE workerpool.jobs SET lease_until = extract(epoch FROM clock_timestamp()) + $4::float8 {_MINE}
RETURNING jobs.serial
"""  # noqa: S608  constants
CHECKPOINT: Final = """
UPDATE workerpool.jobs SET checkpoint = $4 WHERE serial = $1 AND attempts = $2 AND owner = $3 RETURNING serial
"""
RETRY: Final = """
UPDATE workerpool.jobs
SET due = extract(epoch FROM clock_timestamp()) + mine.delay, begun = false, redelivered = false, tag = NULL,
    owner = NULL, lease_until = NULL
FROM unnest($1::bigint[], $2::int[], $5::float8[]) AS mine (serial, attempt, delay)
WHERE jobs.serial = mine.serial AND jobs.attempts = mine.attempt AND jobs.owner = $3
RETURNING jobs.serial, pg_notify($4, 'later')::text
"""
HAND_BACK: Final = "SELECT * FROM workerpool.hand_back($4, $5, $3, $1, $2, $6)"
DEAD_LETTER: Final = "SELECT * FROM workerpool.dead_letter($4, $3, $1, $2, $5, $6, $7, $8, $9)"
LETTER_TEXTS: Final = ("error", "traceback", "version", "worker")
STRAYS: Final = """
UPDATE workerpool.jobs SET attempts = attempts - 1, owner = NULL, lease_until = NULL
WHERE owner = $1 AND serial <> ALL ($2::bigint[])
"""
