"""arq: a job stays in its queue until it is done; who works on it holds a key that expires 10 s after its timeout."""

import asyncio
from typing import Any

import jobs
from arq import create_pool
from arq.connections import RedisSettings
from produce import produce

LOGS = {"version": 1, "disable_existing_loggers": False, "loggers": {"arq": {"level": "WARNING"}}}


async def noop(ctx: Any, due: float | None) -> None:  # noqa: ARG001
    """Nothing."""
    jobs.started(due)


async def io10ms(ctx: Any, due: float | None) -> None:  # noqa: ARG001
    """Wait as for a fast service."""
    jobs.started(due)
    await asyncio.sleep(jobs.IO_SECONDS)


async def probe(ctx: Any, due: float | None) -> None:  # noqa: ARG001
    """Be killed."""
    await asyncio.sleep(jobs.probe_seconds())


class WorkerSettings:
    """What its command line takes."""

    functions = (noop, io10ms, probe)
    redis_settings = RedisSettings.from_dsn(jobs.URL)
    max_jobs = jobs.SLOTS
    job_timeout = jobs.REDELIVERY_SECONDS
    keep_result = 0
    log_results = False
    poll_delay = 0.05  # 0.5 by default: then a worker with 50 slots starts 100 jobs a second at most


async def main() -> None:
    """Produce."""
    pool = await create_pool(WorkerSettings.redis_settings)
    await produce(pool.enqueue_job)
    await pool.aclose()


if __name__ == "__main__":
    asyncio.run(main())
