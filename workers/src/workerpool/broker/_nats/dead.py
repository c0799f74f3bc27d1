"""The dead letters of a queue: listed, let loose again, deleted."""

from typing import Final

from workerpool.broker._nats import stored
from workerpool.broker._nats.link import NatsLink, Request
from workerpool.broker._nats.names import Names
from workerpool.broker._nats.wire import MESSAGE_ID, dead_from
from workerpool.broker._types import DeadJob, DeadJobs

_DROPPED: Final = frozenset({"dead", "by", MESSAGE_ID})


async def page(link: NatsLink, names: Names, *, limit: int, after: str) -> list[DeadJob]:
    """At most `limit` of them, after the one with this sequence. Each is a call: this is for people."""
    found: list[DeadJob] = []
    sequence = int(after) if after.isdecimal() else 0
    while len(found) < limit:
        message = await _next(link, names, sequence)
        if message is None:
            break
        sequence = message.sequence
        found.append(dead_from(sequence, message.headers, message.payload))
    return found


async def remove(link: NatsLink, names: Names, which: DeadJobs, *, redrive: bool) -> int:
    """Redrive or purge, up to the last one that was there at first; return how many.

    Without that end a redrive would go round for ever with jobs that die again at once. Each is one move, by
    the rule of `settling`: its successor is put, then it is deleted.
    """
    last = await stored.get(link, names.stream, last_by_subj=names.dead)
    if last is None:
        return 0
    if not redrive and which == DeadJobs():
        purged = await stored.purge(link, names.stream, names.dead, below=last.sequence + 1)
        which.moved(purged)
        return purged
    moved = sequence = 0
    while (message := await _next(link, names, sequence)) is not None and message.sequence <= last.sequence:
        sequence = message.sequence
        if not which.match(dead_from(sequence, message.headers, message.payload)):
            continue
        if redrive:
            headers = {name: value for name, value in message.headers.items() if name not in _DROPPED}
            [answer] = await link.ask([Request(names.jobs, message.payload, headers | {MESSAGE_ID: f">{sequence}"})])
            stored.pub_ack(answer.data)
        one = int(await stored.delete(link, names.stream, sequence))
        which.moved(one)
        moved += one
    return moved


async def _next(link: NatsLink, names: Names, after: int) -> stored.Stored | None:
    return await stored.get(link, names.stream, seq=after + 1, next_by_subj=names.dead)
