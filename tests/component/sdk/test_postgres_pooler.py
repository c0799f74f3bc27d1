"""Behind a pooler that gives each transaction another connection everything works, with polling instead of LISTEN."""

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.cluster.ports import free_port
from tests.component.sdk.conftest import OpenPostgres
from tests.support.postgres import PostgresServer
from tests.support.waiting import until
from workerpool.broker import NewJob, TenantLimit
from workerpool.errors import BrokerError

pytestmark = [pytest.mark.component, pytest.mark.postgres]
JOB = NewJob(type="t", payload=b"1")


@pytest.fixture
def pooled(postgres_server: PostgresServer, postgres_folder: Path) -> Iterator[str]:
    """The address of a PgBouncer in transaction mode, with two connections for all."""
    program = shutil.which("pgbouncer")
    if program is None:
        pytest.skip("there is no PgBouncer on this machine")
    port = free_port()
    (postgres_folder / "pgbouncer.ini").write_text(
        f"[databases]\n* = host=127.0.0.1 port={postgres_server.port} user=test\n[pgbouncer]\nlisten_port={port}\n"
        "listen_addr=127.0.0.1\nauth_type=any\npool_mode=transaction\ndefault_pool_size=2\nunix_socket_dir=\n"
    )
    shutil.chown(postgres_folder, "postgres")
    process = subprocess.Popen(
        [program, str(postgres_folder / "pgbouncer.ini")],
        user="postgres",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    yield f"postgresql://test@127.0.0.1:{port}/postgres?sslmode=disable"
    process.terminate()
    process.wait(timeout=20)


async def test_jobs_are_put_taken_and_settled(connect: OpenPostgres, pooled: str, redis_stream: str) -> None:
    producer, *consumers = [connect(pooled, queue=redis_stream) for _ in range(5)]

    async def ready() -> bool:
        try:
            await producer.put([])
            await producer.maintain()
        except BrokerError:
            return False
        return True

    await until(ready, what="the pooler")
    done: list[bytes] = []

    async def consume(index: int) -> None:
        while len(done) < 100:
            taken = await consumers[index].take(limit=5, wait=0.3)
            assert await consumers[index].extend(taken) == frozenset()
            assert await consumers[index].ack(taken) == frozenset()
            done.extend(job.payload for job in taken)

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for index in range(4):
            group.create_task(consume(index))
        for part in range(10):
            jobs = [NewJob(type="t", payload=str(part * 10 + n).encode(), tenant="ab"[n % 2]) for n in range(10)]
            await producer.put(jobs)
    assert sorted(done) == sorted(str(n).encode() for n in range(100))


async def test_waits_end_with_a_job(connect: OpenPostgres, pooled: str, redis_stream: str) -> None:
    producer, consumer, observer = [connect(pooled, queue=redis_stream) for _ in range(3)]
    await until(lambda: _answers(observer), what="the pooler")
    taking = asyncio.create_task(consumer.take(limit=1, wait=30))
    watching = asyncio.create_task(observer.wait_for_arrival(30))
    producer.limit_tenants({"*": TenantLimit(max_in_flight=1)})
    await producer.maintain()
    await producer.put([JOB])
    async with asyncio.timeout(20):
        assert await watching
        assert len(await taking) == 1


async def _answers(broker: object) -> bool:
    try:
        await broker.depth()  # type: ignore[attr-defined]
    except BrokerError:
        return False
    return True
