"""A job, as its handler and as its producer see it."""

import json
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from workerpool.broker import Priority
from workerpool.errors import ConfigurationError, PayloadInvalid

MAX_PAYLOAD_BYTES: Final = 1024 * 1024
"""Larger payloads belong into a store, with their address in the job: a broker holds all of them in memory."""
MAX_CHECKPOINT_BYTES: Final = 64 * 1024
"""Larger states belong into a store, with their address in the checkpoint: the broker holds one for each job."""


class Hold(Protocol):
    """What a running job's handler has of its worker."""

    async def checkpoint(self, state: bytes) -> None:
        """Keep the state with the job, while it is this worker's. From any event loop."""
        ...

    def checkpoint_sync(self, state: bytes) -> None:
        """The same, from a thread without an event loop."""
        ...

    def skip(self) -> None:
        """The job turned out to be done already."""
        ...

    def fail(self, error: Exception | str) -> None:
        """Of the jobs of a batch this one failed."""
        ...

    def begins(self) -> None:
        """Its handler begins only now: until now a process for it was started, which is not the job's own time."""
        ...

    def told_to_stop(self) -> bool:
        """Whether the job was cancelled."""
        ...


@dataclass(frozen=True, slots=True)
class Job:
    """What a handler is given."""

    id: str
    """The same over all attempts: what to make side effects idempotent by."""
    type: str
    payload: Any
    """What the producer wrote, from JSON."""
    attempt: int
    """Counts from 1."""
    queue: str
    """Name of the queue it came from."""
    context: Any = None
    """What the worker's lifespan yielded; None in the cpu lane, whose processes cannot be given it."""
    checkpointed: Any = None
    """The last checkpoint of an earlier attempt, from JSON; None when there is none."""
    stream: str = ""
    """What tells its queue from every other one, whatever its address or name is; see `Broker.identity`."""
    tenant: str = ""
    priority: str = Priority.NORMAL
    ordering_key: str = ""
    _hold: Hold | None = field(default=None, repr=False, compare=False)

    async def checkpoint(self, state: Any) -> None:
        """Keep how far this job is, for its next attempt: after a failure, a drain or this worker's death, on any node.

        The last one counts; it replaces the one before whole, and is gone when the job is done or dead. When this
        returns, the broker has it; but on RabbitMQ and Kafka, where this worker keeps it until the attempt has failed
        or is handed back, and its death loses it.

        Args:
            state: Anything that JSON can hold, at most MAX_CHECKPOINT_BYTES of it.

        Raises:
            LeaseLost: the job is not this worker's any more; nothing was kept. Leave it, without further effects.
            PayloadInvalid: the state is not JSON or too large.
            BrokerError: the broker is away; it may have been kept or not.
        """
        await self._held().checkpoint(encode(state, what="checkpoint", limit=MAX_CHECKPOINT_BYTES))

    def checkpoint_sync(self, state: Any) -> None:
        """`checkpoint` for a handler that runs in a thread and is no `async def`."""
        self._held().checkpoint_sync(encode(state, what="checkpoint", limit=MAX_CHECKPOINT_BYTES))

    async def once(self, connection: Any) -> bool:
        """Mark this job as done in the transaction of its effects; False: an attempt before has committed them, skip.

        ```python
        with sqlite3.connect("shop.db") as db:  # commits, or rolls back when something is raised
            if await job.once(db):
                db.execute("UPDATE accounts SET ...")
        ```

        With the transaction the mark is committed or rolled back, so the effects in it happen exactly once, however
        often the job runs. Effects elsewhere (a mail, an HTTP call) are not covered: they happen at least once.

        Args:
            connection: Of sqlite3 or aiosqlite, psycopg (both kinds), psycopg2 or asyncpg, with the transaction open or
                about to be opened by the driver itself. In Postgres the table `workerpool_done` must be there.

        Raises:
            ConfigurationError: no transaction is open, or this is no such connection.
        """
        from workerpool._once import once  # noqa: PLC0415  few use it, all would load it

        return self._first(await once(connection, self.stream or self.queue, self.id))

    def once_sync(self, connection: Any) -> bool:
        """`once` for a handler that runs in a thread and is no `async def`."""
        from workerpool._once import once_sync  # noqa: PLC0415  few use it, all would load it

        return self._first(once_sync(connection, self.stream or self.queue, self.id))

    def fail(self, error: Exception | str) -> None:
        """For handlers that do batches: this job has failed, whatever becomes of the others.

        It is tried again as any job that failed. With a `RejectJob` it is dead-lettered, for no attempt can succeed.

        Raises:
            ConfigurationError: its handler takes one job at a time; there the error is raised.
        """
        self._held().fail(error)

    def _first(self, first: bool) -> bool:  # noqa: FBT001  the answer
        if not first and self._hold is not None:
            self._hold.skip()
        return first

    @property
    def cancelled(self) -> bool:
        """For functions in the thread lane, which nobody can interrupt: whether to stop, within a second.

        The job's time is up, its lease is lost, or the worker leaves. In the other lanes a handler is interrupted.
        A batch is interrupted when that holds for all of its jobs: where this is true for some of them (but in the cpu
        lane, which does not learn of it), those are somebody else's, and need not be done.
        """
        return self._hold is not None and self._hold.told_to_stop()

    def _held(self) -> Hold:
        if self._hold is None:
            raise ConfigurationError("this job is not run by a worker: nobody keeps its checkpoint")
        return self._hold


@dataclass(frozen=True, slots=True)
class JobSpec:
    """A job to be enqueued."""

    type: str
    payload: Any = None
    """Anything that JSON can hold."""
    job_id: str = ""
    """Makes enqueueing repeatable: a second job with this id is dropped, for ten minutes; not by RabbitMQ and Kafka."""
    delay: float = 0.0
    """Seconds until it may start."""
    tenant: str = ""
    """Whose it is: tenants share the queue, so that one's flood does not hold up another."""
    priority: str = Priority.NORMAL
    """`high`, `normal` or `low`; see `Priority`."""
    ordering_key: str = ""
    """Jobs of the same key run one at a time, in the order in which they were enqueued, over retries too."""
    expires_in: float | None = None
    """Seconds from now after which it is not begun any more, but dead-lettered (`expired`); None: never."""


def encode_payload(payload: Any) -> bytes:
    """The payload as JSON text.

    Raises:
        PayloadInvalid: it holds something that JSON does not have, or is larger than MAX_PAYLOAD_BYTES.
    """
    return encode(payload, what="payload", limit=MAX_PAYLOAD_BYTES)


def encode(value: Any, *, what: str, limit: int) -> bytes:
    """As JSON text of at most `limit` bytes; see `encode_payload`."""
    try:
        text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise PayloadInvalid(f"the {what} cannot be written as JSON: {error}") from error
    if len(text) > limit:
        raise PayloadInvalid(f"the {what} has {len(text)} bytes, at most {limit} are taken")
    return text
