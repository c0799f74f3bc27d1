"""The tables and functions in the database: made by the first who puts or takes, if it may, or by hand.

**Rights.** Who makes them needs CREATE on the database. Producers and consumers then need, in the schema `workerpool`,
USAGE on it, SELECT, INSERT, UPDATE and DELETE on its tables and USAGE on its sequences; who only reads the depth needs
USAGE and SELECT. `text` is what an administrator runs where workers may not make anything.

**Versions.** A program that finds an older schema brings it up to date, under a lock; one that finds a newer one uses
it as it is. So a change must keep every function that the version before it calls: while a fleet is replaced, both
are at work.
"""

from functools import cache
from pathlib import Path
from typing import Final

from workerpool.broker._bucket import BURST_SECONDS
from workerpool.broker._fair import AGEING_SECONDS
from workerpool.broker._shed import EXPIRED_TEXT, SHED_TEXT
from workerpool.broker._tenants import SAY_SECONDS
from workerpool.broker._types import EACH_TENANT

VERSION: Final = 1
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
_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtext('workerpool.schema'), 0);"


@cache
def text() -> str:
    """SQL that makes the schema or brings an older one up to date; to be run in one transaction."""
    tables = "\n".join(f"        {line}".rstrip() for line in _read("tables").splitlines())
    known = f"UPDATE workerpool.schema_version SET version = {VERSION} WHERE version < {VERSION};"  # noqa: S608
    return "\n".join(
        (
            _LOCK,
            "DO $make$ BEGIN",
            "    IF to_regclass('workerpool.schema_version') IS NULL THEN",
            tables,
            "        INSERT INTO workerpool.schema_version VALUES (0);",
            "    END IF;",
            "END $make$;",
            *(_read(name) for name in _FUNCTIONS),
            known,
        )
    )


def _read(name: str) -> str:
    found = (_FOLDER / f"{name}.sql").read_text("utf-8")
    for constant, value in _CONSTANTS.items():
        found = found.replace(f"{{{constant}}}", value)
    return found
