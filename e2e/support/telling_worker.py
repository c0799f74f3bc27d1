"""A worker that writes a line about each attempt at a job, with the trace that the job names.

A program of its own that knows nothing but the SDK; in a pod it is mounted into the reference worker's image. The trace
is given by the payload, since that image has no OpenTelemetry.
"""

import asyncio
import logging

from workerpool import Job, Worker

worker = Worker()


@worker.job("tell", timeout=60)
async def tell(job: Job) -> None:
    """Write it, take so many seconds, and fail as often as asked to."""
    logging.getLogger("telling").info("told", extra={"trace_id": job.payload["trace"]})
    await asyncio.sleep(job.payload["seconds"])
    if job.attempt <= job.payload["fails"]:
        raise ValueError("asked to fail")


if __name__ == "__main__":
    worker.run()
