"""The tables and functions in the database: made by the first who puts or takes, if it may, or by hand.

**Rights.** Who makes them needs CREATE on the database, and who brings them forward must own them. Producers and
consumers then need, in the schema `workerpool`, USAGE on it, and SELECT, INSERT, UPDATE and DELETE on its tables; who
only reads the depth needs USAGE and SELECT. `text` is what an administrator runs where workers may not.

**Versions.** Whoever finds an older version brings it forward, step by step, in one transaction that only one can be
at work on; whoever finds a newer one uses it as it is. So programs of two versions are at work on the same tables:
while a fleet is replaced, after a rollback, and since the collector is not replaced together with the workers. What
that asks of a change:

- Tables change by a new file in `sql/steps/`, never by an edit of an older one. A step takes no time that grows with
  the number of jobs (no rewrite of a table, no index on `jobs`): it holds up all takes and puts. A new column has a
  default, or may be NULL, for those who do not know of it. A new table gets the rights that `jobs` has.
- A function keeps its arguments and what it returns for as long as `OLDEST` names a version that calls it; what is to
  have others gets another name.
- Who only reads changes nothing, and may be ahead of the tables: it says so, and never that there are no jobs.
- Where an older program would do harm, `OLDEST` is raised: such a program says so and does nothing.
"""

from functools import cache
from pathlib import Path
from typing import Final

from workerpool.broker._bucket import BURST_SECONDS
from workerpool.broker._fair import AGEING_SECONDS
from workerpool.broker._shed import EXPIRED_TEXT, SHED_TEXT
from workerpool.broker._tenants import SAY_SECONDS
from workerpool.broker._types import EACH_TENANT

VERSION: Final = 3
"""Of the tables and functions that this program needs."""
OLDEST: Final = 1
"""A program that needs this version, or any later one, can work with them too."""
_LOCK_SECONDS: Final = 0.5
"""Who waits for a table holds up everybody who comes later: behind somebody's transaction, that may be for long."""
INDEXES_ONLY: Final = ("enable_seqscan = off", "enable_bitmapscan = off", "jit = off")
"""The number of rows goes from none to many and back between two looks of the statistics: a plan that was good for an
empty table must not be kept for a full one. There is an index for each question. What is switched off costs so much in
the planner's eyes that it would compile each plan."""
_FOLDER: Final = Path(__file__).with_name("sql")
_FUNCTIONS: Final = ("tenants", "put", "take", "order", "settle", "depth")
_CONSTANTS: Final = {
    "ageing": ", ".join(f"{seconds:g}" for seconds in AGEING_SECONDS.values()),
    "burst": f"{BURST_SECONDS:g}",
    "chunk": "500",  # jobs per transaction that are moved to or from the dead letters: more would hold up the others
    "classes": ", ".join(f"'{priority.value}'" for priority in AGEING_SECONDS),
    "crowd": "100",  # where so many jobs wait nobody sleeps who could be woken, and telling makes commits wait in line
    "each": EACH_TENANT,
    "expired_text": EXPIRED_TEXT,
    "planned": " ".join(f"SET {setting}" for setting in (*INDEXES_ONLY, "plan_cache_mode = force_generic_plan")),
    "ranked": "5000",  # jobs that a take finds a place for: with more it would be late
    "say": f"{SAY_SECONDS:g}",
    "shards": "16",  # rows that count what is put: so many producers do not wait for each other
    "shed_text": SHED_TEXT,
}


@cache
def text() -> str:
    """One statement that makes what is not there and brings forward what is older; it leaves alone what is newer."""
    steps = [(number, _read(f"steps/{number}")) for number in range(1, VERSION + 1)]
    functions = "\n".join(_read(name) for name in _FUNCTIONS)
    known = f"UPDATE workerpool.schema_version SET version = {VERSION}, oldest = {OLDEST};"  # noqa: S608  constants
    return "\n".join(
        (
            "DO $make$",
            "DECLARE",
            "    found_ int;",
            "BEGIN",
            "    PERFORM pg_advisory_xact_lock(hashtext('workerpool.schema'), 0);",
            f"    PERFORM set_config('lock_timeout', '{_LOCK_SECONDS * 1000:g}ms', true);",
            "    IF to_regnamespace('workerpool') IS NULL THEN",
            "        CREATE SCHEMA workerpool;",
            "    END IF;",
            "    IF to_regclass('workerpool.schema_version') IS NULL THEN",
            "        CREATE TABLE workerpool.schema_version (version int NOT NULL);",
            "        INSERT INTO workerpool.schema_version VALUES (0);",
            "    END IF;",
            "    SELECT version INTO STRICT found_ FROM workerpool.schema_version;",
            *(f"IF found_ < {number} THEN\n{step}\nEND IF;" for number, step in steps),
            f"IF found_ < {VERSION} THEN\n{functions}\n{known}\nEND IF;",
            "END $make$;",
        )
    )


def _read(name: str) -> str:
    found = (_FOLDER / f"{name}.sql").read_text("utf-8")
    for constant, value in _CONSTANTS.items():
        found = found.replace(f"{{{constant}}}", value)
    return found
