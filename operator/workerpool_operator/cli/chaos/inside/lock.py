"""Holds a lock on a table in PostgreSQL that nobody can pass, for some seconds.

Arguments: the prefix of the queue's variables (`QUEUE_MAIN`), the table, the seconds. The lock ends with the
connection, so with this process, and by the server's own limit if both are forgotten. It is asked for no longer than
5 s: a lock that waits in line holds up all who come behind it, and nobody should be hit by that for longer.
"""

import asyncio
import os
import re
import ssl
import sys
from pathlib import Path

import asyncpg

WAIT_SECONDS = 5
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?")


def said(prefix: str, what: str) -> "str | None":
    """What the file that a variable names holds; None where there is none."""
    path = Path(os.environ.get(f"{prefix}_{what}_FILE", "/nowhere"))
    return path.read_text("utf-8").strip() if path.exists() else None


def security(prefix: str) -> "ssl.SSLContext | None":
    """TLS as the pool's workers are told, where more than the URL says it."""
    path = {what: os.environ.get(f"{prefix}_{what}_FILE", "") for what in ("CA", "CERT", "KEY")}
    if not path["CA"]:
        return None
    context = ssl.create_default_context(cafile=path["CA"])
    if path["CERT"]:
        context.load_cert_chain(path["CERT"], path["KEY"])
    return context


async def main(arguments: "list[str]") -> int:
    """See the module's text."""
    prefix, table, seconds = arguments[0], arguments[1], float(arguments[2])
    if not NAME.fullmatch(table):
        print(f"{table} is no name of a table", flush=True)
        return 1
    connection = await asyncpg.connect(
        os.environ[f"{prefix}_URL"],
        user=said(prefix, "USERNAME"),
        password=said(prefix, "PASSWORD"),
        timeout=10,
        ssl=security(prefix),
    )
    try:
        await connection.execute(f"SET lock_timeout = '{WAIT_SECONDS}s'")
        await connection.execute(f"SET idle_in_transaction_session_timeout = '{seconds + 30:.0f}s'")
        async with connection.transaction():
            await connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            print("held", flush=True)
            await asyncio.sleep(seconds)
    finally:
        await connection.close(timeout=5)
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
