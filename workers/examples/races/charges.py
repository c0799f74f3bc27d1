"""A race with death: the worker is killed after the effect and before the broker knows, and the job runs again."""

import sqlite3

from workerpool import Job, Worker


def open_books() -> sqlite3.Connection:
    """Stands for a database: it outlives the workers."""
    books = sqlite3.connect(":memory:")
    books.execute("CREATE TABLE charges (customer TEXT, cents INTEGER)")
    return books


def charged(books: sqlite3.Connection, customer: str) -> int:
    """Cents, all charges together."""
    [[cents]] = books.execute("SELECT coalesce(sum(cents), 0) FROM charges WHERE customer = ?", (customer,))
    return int(cents)


def twice(books: sqlite3.Connection) -> Worker:
    """The handler as one writes it first."""
    worker = Worker()

    @worker.job("charge", timeout=10)
    async def charge(job: Job) -> None:
        with books:
            books.execute("INSERT INTO charges VALUES (:customer, :cents)", job.payload)

    return worker


def once(books: sqlite3.Connection) -> Worker:
    """Mended: the mark that this job is done is committed with the charge, or not at all."""
    worker = Worker()

    @worker.job("charge", timeout=10)
    async def charge(job: Job) -> None:
        with books:
            if await job.once(books):
                books.execute("INSERT INTO charges VALUES (:customer, :cents)", job.payload)

    return worker
