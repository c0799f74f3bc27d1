"""What an observer sees of a queue.

How many jobs are unfinished is of one moment; how many of them wait, and how long the first one does, are of moments
right after it.
"""

from typing import Any, NamedTuple

from workerpool.broker._nats import stored
from workerpool.broker._nats.answers import CONSUMER_NOT_FOUND, STREAM_NOT_FOUND, ApiError
from workerpool.broker._nats.link import NatsLink
from workerpool.broker._nats.names import Names
from workerpool.broker._nats.wire import due_of
from workerpool.broker._types import Depth
from workerpool.errors import QueueNotFound


class Reading(NamedTuple):
    """The figures, and the stream's last sequence."""

    depth: Depth
    last: int


async def read(link: NatsLink, names: Names) -> Reading:
    """Read the queue.

    Raises:
        BrokerError: one of its kinds.
    """
    try:
        answer = await link.api(f"STREAM.INFO.{names.stream}", {"subjects_filter": f"{names.stream}.*"})
    except ApiError as error:
        if error.code != STREAM_NOT_FOUND:
            raise
        return Reading(Depth(0, 0, 0, oldest_age_seconds=0.0, arrivals_total=None, dead_letters=0), 0)
    state: dict[str, Any] = answer.get("state", {})
    counts: dict[str, int] = state.get("subjects") or {}
    unfinished = counts.get(names.jobs, 0) + counts.get(names.again, 0)
    waiting = 0
    after: dict[str, int] = {}
    for subject, consumer in names.consumers.items():
        info = await _consumer(link, names, consumer)
        waiting += int(info.get("num_pending", counts.get(subject, 0)))
        after[subject] = int(info.get("delivered", {}).get("stream_seq", 0))
    # Not from what the consumers have pending: after a server was killed they forget for a while what was done.
    waiting = min(waiting, unfinished)
    ages = [await _age(link, names, subject, seen) for subject, seen in after.items() if waiting]
    depth = Depth(
        waiting=waiting,
        in_flight=unfinished - waiting,
        delayed=max(0, int(state.get("messages", 0)) - sum(counts.values())),
        oldest_age_seconds=max(ages, default=0.0),
        arrivals_total=None,
        dead_letters=counts.get(names.dead, 0),
    )
    return Reading(depth, int(state.get("last_seq", 0)))


async def arrival(link: NatsLink, names: Names, *, after: int, seconds: float) -> bool:
    """Hear of the next job that somebody puts, unless one came after this sequence already."""
    listening = await link.listen(names.jobs, seconds)
    try:
        if await _came(link, names, after):
            return True
        return await listening.end()
    finally:
        await listening.close()


async def _came(link: NatsLink, names: Names, after: int) -> bool:
    try:
        return await stored.get(link, names.stream, seq=after + 1, next_by_subj=names.jobs) is not None
    except QueueNotFound:
        return False


async def _consumer(link: NatsLink, names: Names, consumer: str) -> dict[str, Any]:
    """Nothing where nobody has taken yet from a stream that somebody has made by hand."""
    try:
        return await link.api(f"CONSUMER.INFO.{names.stream}.{consumer}")
    except ApiError as error:
        if error.code != CONSUMER_NOT_FOUND:
            raise
        return {}


async def _age(link: NatsLink, names: Names, subject: str, seen: int) -> float:
    first = await stored.get(link, names.stream, seq=seen + 1, next_by_subj=subject)
    return 0.0 if first is None else max(0.0, link.now() - due_of(first.headers, first.stored_at))
