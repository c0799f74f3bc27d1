"""A program without the SDK, by psql and the statements of docs/reference/worker-contract.md, and the SDK at the other
end of the same queue."""

import asyncio
import re
import secrets
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.component.sdk.conftest import OpenPostgres
from tests.support.postgres import PostgresServer
from workerpool.broker import DeadLetter, DeathReason, NewJob, Priority, TraceContext
from workerpool.broker._postgres import PostgresBroker

pytestmark = [pytest.mark.component, pytest.mark.postgres]

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "worker-contract.md"


def steps() -> dict[str, str]:
    """The statements of the page, by the first words of the comments above them."""
    [block] = re.findall(r"```sql\n(-- the queue, once\n.*?)```", PAGE.read_text(), re.DOTALL)
    return {re.split("[,:;\n]", part)[0].removeprefix("-- "): part for part in block.split("\n\n")}


class Plain:
    """The queue, as psql sees it."""

    def __init__(self, server: PostgresServer, name: str) -> None:
        self.name = name
        self._command = ["psql", "-XAqt", "-v", "ON_ERROR_STOP=1", "-v", f"name={name}", server.address]

    async def run(self, *names: str) -> list[str]:
        """Run these steps in one session, after the first one; returns the lines that they print."""
        text = "\n".join(steps()[name] for name in ("the queue", *names))
        done = await asyncio.to_thread(
            subprocess.run, self._command, input=text, text=True, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.split()


@pytest_asyncio.fixture
async def sdk(connect: OpenPostgres, postgres_server: PostgresServer) -> AsyncIterator[PostgresBroker]:
    broker = connect(postgres_server.url, queue=f"plain-{secrets.token_hex(4)}")
    await broker.maintain()  # the tables are there
    yield broker


@pytest.fixture
def plain(sdk: PostgresBroker, postgres_server: PostgresServer) -> Plain:
    return Plain(postgres_server, sdk.stream)


async def test_what_psql_puts_is_a_job(plain: Plain, sdk: PostgresBroker) -> None:
    sleeping = asyncio.create_task(sdk.take(limit=9, wait=60))
    await asyncio.sleep(0)
    assert await plain.run("put") == ["1"]
    [job] = await sleeping
    assert (job.job_id, job.type, job.payload, job.attempt) == ("job-7", "resize", b'{"width": 200}', 1)
    assert (job.tenant, job.priority, job.ordering_key, job.trace) == ("", Priority.NORMAL, "", None)
    assert await plain.run("put", "now and then") == ["1", "0|1|0|0"], "its id is remembered; one is in flight"
    assert await sdk.ack([job]) == frozenset()


async def test_what_the_sdk_puts_is_taken_kept_and_done_by_psql(plain: Plain, sdk: PostgresBroker) -> None:
    trace = TraceContext("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "a=b")
    await sdk.put([NewJob("resize", b"{}", job_id="a", trace=trace)])
    serial, done = await plain.run("take", "keep", "done")
    assert serial == done
    assert (await sdk.depth()).waiting == 0


async def test_a_retry_of_psql_waits_and_has_its_checkpoint(plain: Plain, sdk: PostgresBroker) -> None:
    await sdk.put([NewJob("resize", b"{}")])
    began = time.monotonic()
    await plain.run("take", "checkpoint", "retry")
    [job] = await sdk.take(limit=9, wait=20)
    assert time.monotonic() - began > 1.9, "in 2 s"
    assert (job.attempt, job.checkpoint, job.redelivered) == (2, b'{"page": 3}', False)


async def test_what_psql_hands_back_has_made_no_attempt(plain: Plain, sdk: PostgresBroker) -> None:
    await sdk.put([NewJob("resize", b"{}")])
    await plain.run("take", "hand back")
    [job] = await sdk.take(limit=9, wait=20)
    assert (job.attempt, job.begun) == (1, True)


async def test_the_dead_letters_of_one_are_the_others(
    plain: Plain, sdk: PostgresBroker, postgres_server: PostgresServer
) -> None:
    await sdk.put([NewJob("resize", b"{}", job_id="theirs")])
    await plain.run("take", "give up")
    await sdk.put([NewJob("resize", b"{}", job_id="ours")])
    [job] = await sdk.take(limit=9, wait=20)
    await sdk.dead_letter([DeadLetter(job, DeathReason.MAX_ATTEMPTS, error="e", version="v2", worker="w")])
    theirs, ours = await sdk.dead_letters(limit=9)
    assert (theirs.job_id, theirs.reason, theirs.error, theirs.attempts) == ("theirs", "rejected", "too wide", 1)
    assert (theirs.version, theirs.worker) == ("v1", "pod-1")
    columns = "id, reason, error, attempts, version, worker"
    assert postgres_server.sql(f"SELECT {columns} FROM workerpool.dead WHERE serial = {ours.token}") == [
        ("ours", "max_attempts", "e", 1, "v2", "w")
    ]


async def test_one_that_is_somebody_elses_now_gives_no_row(plain: Plain, sdk: PostgresBroker) -> None:
    await sdk.put([NewJob("resize", b"{}")])
    stolen = "UPDATE workerpool.jobs SET owner = 'another', attempts = attempts + 1 WHERE serial = :serial;"
    names = ("the queue", "take")
    text = "\n".join((*(steps()[name] for name in names), stolen, *(steps()[name] for name in ("keep", "done"))))
    done = await asyncio.to_thread(
        subprocess.run, plain._command, input=text, text=True, capture_output=True, check=True
    )
    assert done.stdout.split() == []
