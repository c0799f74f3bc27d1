"""Dead letters of a queue in memory."""

import itertools
import time

from workerpool.broker._memory_store import Entry, MemoryStore
from workerpool.broker._types import DeadJob, DeadJobs, DeadLetter, Priority


def bury(store: MemoryStore, letter: DeadLetter) -> None:
    """Add it."""
    serial, job = next(store.serial), letter.job
    store.dead[serial] = DeadJob(
        token=str(serial),
        job_id=job.job_id,
        type=job.type,
        payload=job.payload,
        attempts=job.attempt,
        reason=letter.reason.value,
        error=letter.error,
        traceback=letter.traceback,
        version=letter.version,
        worker=letter.worker,
        died_at=time.time(),
        tenant=job.tenant,
        priority=job.priority,
        ordering_key=job.ordering_key,
        trace=job.trace,
    )


def page(store: MemoryStore, *, limit: int, after: str) -> list[DeadJob]:
    """At most so many after the one with this token, from the first if it is empty."""
    start = int(after or -1)
    return list(itertools.islice((job for serial, job in store.dead.items() if serial > start), limit))


def dig_up(store: MemoryStore, which: DeadJobs) -> list[DeadJob]:
    """Remove them."""
    dead = [job for job in store.dead.values() if which.match(job)]
    for job in dead:
        del store.dead[int(job.token)]
    which.moved(len(dead))
    return dead


def redrive(store: MemoryStore, which: DeadJobs, *, now: float) -> int:
    """Let them wait again, as if never tried; how many."""
    dead = dig_up(store, which)
    for job in dead:
        entry = Entry(
            job.job_id,
            job.type,
            job.payload,
            due=now,
            serial=next(store.serial),
            tenant=job.tenant,
            priority=Priority(job.priority),
            ordering_key=job.ordering_key,
            trace=job.trace,
        )
        store.waiting.add(entry)
    store.wake()
    return len(dead)
