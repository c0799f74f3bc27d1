"""Telling JetStream how jobs ended.

JetStream heeds whoever acknowledges, the one that has lost a job too, and moves nothing: a retry is a new message, and
then the old one is acknowledged. So every move goes by one rule: **a message has at most one successor.** It is put
under the id `>SEQUENCE`, and the stream drops a second one with the same id. Whoever's successor is in the stream has
moved the job; all others have lost it. Dead between the two steps: the old message is handed out again when its lease
is over, whoever gets it finds its successor there, and acknowledges it.

Where nobody else can have been given a job yet, by our own clock, an acknowledgement is nothing but that. A late one
puts a successor first that says that the job is done.

The rule holds for as long as the stream remembers ids (`DEDUPLICATION_SECONDS`): were all workers away for longer,
right after such a death, the job would be there twice.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from nats.aio.msg import Msg

from workerpool.broker._nats import stored
from workerpool.broker._nats.bucket import Bucket
from workerpool.broker._nats.held import Held, Holding, is_late
from workerpool.broker._nats.link import NatsLink, Request
from workerpool.broker._nats.names import Names
from workerpool.broker._nats.wire import MESSAGE_ID, Delivery, Headers, death, scheduled, word
from workerpool.broker._types import DeadLetter, Retry, Taken
from workerpool.errors import BrokerError

CHUNK: Final = 500
"""Messages that are sent before the answers are waited for."""
_DONE: Final = b"+ACK"
_SAME_SECONDS: Final = 0.001
"""Two messages of one number are further apart: the stream was deleted and made anew in between."""
_KEPT_SECONDS: Final = "600s"
"""Of a mark whose maker died before it removed it."""


@dataclass(frozen=True, slots=True)
class Move:
    """A job's next message."""

    token: str
    sequence: int
    subject: str
    headers: Headers
    payload: bytes


class Settling:
    """Of one consumer."""

    def __init__(self, link: NatsLink, names: Names, bucket: Bucket, held: Held, *, consumer: str) -> None:
        self._link = link
        self._names = names
        self._bucket = bucket
        self._held = held
        self._consumer = consumer
        self.margin = 0.0
        """Seconds before the end of its lease from which on a job counts as late."""

    async def ack(self, jobs: Sequence[Taken]) -> frozenset[str]:
        """Acknowledge those that are still ours."""
        gone = self._held.gone(jobs)
        holdings = [self._held.of(job) for job in jobs if job.token not in gone]
        late = [holding for holding in holdings if is_late(holding, margin=self.margin)]
        marks = [self._move(holding, self._names.settled, {"Nats-TTL": _KEPT_SECONDS}, payload=b"") for holding in late]
        lost, made = await self._succeed(marks)
        late_tokens = {holding.job.token for holding in late}
        gone |= self._held.gone(jobs)  # by what was waited for since
        others = [holding.job.token for holding in holdings if holding.job.token not in late_tokens | gone]
        await self._link.tell(others, _DONE)
        for sequence in made:
            await stored.delete(self._link, self._names.stream, sequence)
        await self._clean_up([holding for holding in holdings if holding.job.token not in lost | gone])
        self._held.forget(jobs)
        return lost | gone

    async def retry_later(self, retries: Sequence[Retry]) -> frozenset[str]:
        """A message that the server holds back until it is due, with the attempts made so far."""
        moves = []
        for retry in retries:
            holding = self._held.of(retry.job)
            headers = {"attempt": str(retry.job.attempt), **self._origin(holding)}
            subject = self._names.jobs
            if retry.delay > 0:
                headers = scheduled(headers, target=subject, at=self._link.now() + retry.delay)
                subject = f"{self._names.later}{holding.sequence}"
            moves.append(self._move(holding, subject, headers, drop=("redelivered", "begun", "due")))
        return await self._settle([retry.job for retry in retries], moves)

    async def hand_back(self, jobs: Sequence[Taken]) -> frozenset[str]:
        """A message behind all others, with the attempts made before this one."""
        moves = []
        for job in jobs:
            holding = self._held.of(job)
            due = self._link.now() - job.waited
            headers = {"attempt": str(job.attempt - 1), "due": str(round(due * 1000)), **self._origin(holding)}
            headers |= {"begun": "1"} if job.begun else {}
            moves.append(self._move(holding, self._names.jobs, headers))
        return await self._settle(jobs, moves)

    async def dead_letter(self, letters: Sequence[DeadLetter]) -> frozenset[str]:
        """A message among the dead letters."""
        moves = []
        for letter in letters:
            holding = self._held.of(letter.job)
            headers = death(letter, now=self._link.now())
            drop = ("redelivered", "begun", "due", "origin", "checkpointed", "attempt", "expires")
            moves.append(self._move(holding, self._names.dead, headers, drop=drop))
        lost = await self._settle([letter.job for letter in letters], moves, forget=False)
        done = [letter.job for letter in letters if letter.job.token not in lost]
        await self._clean_up([self._held.of(job) for job in done])
        self._held.forget(letter.job for letter in letters)
        return lost

    async def take_over(self, messages: Sequence[tuple[Msg, int, int, Headers]]) -> None:
        """Let these wait again, before all others: the consumers that had them let their leases expire.

        Each is a message with its sequence, how often it was handed out, and its own headers.
        """
        moves = []
        for message, sequence, count, headers in messages:
            origin = headers.get("origin", str(sequence))
            before = headers.get("attempt", "0")
            attempt = str(int(before) + count - 1) if before.isdecimal() and before.isascii() else before
            more = {"attempt": attempt, "redelivered": "1", "origin": origin, "id": headers.get("id", str(sequence))}
            if await self._bucket.get(f"checkpoint.{origin}") is not None:
                more["checkpointed"] = "1"
            moves.append(Move(message.reply, sequence, self._names.again, headers | more, message.data))
        await self._succeed(moves, finish_others=True)

    async def is_there(self, holding: Holding) -> bool:
        """Whoever takes a job over puts it anew; and a stream that was made anew has others under these numbers."""
        found = await stored.get(self._link, self._names.stream, seq=holding.sequence)
        if found is None:
            return False
        if abs(found.stored_at - Delivery.of(holding.job.token).stored_at) < _SAME_SECONDS:
            return True
        self._held.leave_behind(holding)
        return False

    async def look_at_all(self) -> None:
        """Leave behind what is not there: for when the stream is not the one that it was."""
        for holding in self._held.all():
            if not await self.is_there(holding) and self._held.find(holding.sequence) is holding:
                self._held.leave_behind(holding)

    def _origin(self, holding: Holding) -> Headers:
        return {"origin": holding.origin} | ({"checkpointed": "1"} if holding.checkpointed else {})

    def _move(
        self,
        holding: Holding,
        subject: str,
        headers: Headers,
        *,
        payload: bytes | None = None,
        drop: Sequence[str] = (),
    ) -> Move:
        kept = {name: value for name, value in holding.headers.items() if name not in drop}
        kept["id"] = word(holding.job.job_id)
        job = holding.job
        body = job.payload if payload is None else payload
        return Move(job.token, holding.sequence, subject, kept | headers, body)

    async def _settle(self, jobs: Sequence[Taken], moves: Sequence[Move], *, forget: bool = True) -> frozenset[str]:
        gone = self._held.gone(jobs)
        lost, _ = await self._succeed([move for move in moves if move.token not in gone])
        if forget:
            self._held.forget(jobs)
        return lost | gone

    async def _succeed(self, moves: Sequence[Move], *, finish_others: bool = False) -> tuple[frozenset[str], list[int]]:
        """Put successors and acknowledge what they succeed. Returns the tokens that were lost, and the successors.

        `finish_others`: acknowledge a message as well whose successor is somebody else's.
        """
        lost: set[str] = set()
        made: list[int] = []
        for start in range(0, len(moves), CHUNK):
            chunk = moves[start : start + CHUNK]
            answers = await self._link.ask([self._request(move) for move in chunk])
            for move, answer in zip(chunk, answers, strict=True):
                said = stored.pub_ack(answer.data)
                sequence = int(said.get("seq", 0))
                if said.get("duplicate") and not await self._is_ours(sequence):
                    lost.add(move.token)
                else:
                    made.append(sequence)
            won = [move.token for move in chunk if finish_others or move.token not in lost]
            await self._link.tell(won, _DONE)
        return frozenset(lost), made

    def _request(self, move: Move) -> Request:
        headers = {**move.headers, MESSAGE_ID: f">{move.sequence}", "by": self._consumer}
        return Request(move.subject, move.payload, headers)

    async def _is_ours(self, sequence: int) -> bool:
        """Whether we put this successor: an answer was lost, and the caller repeats what it asked."""
        found = await stored.get(self._link, self._names.stream, seq=sequence)
        return found is not None and found.headers.get("by") == self._consumer

    async def _clean_up(self, holdings: Sequence[Holding]) -> None:
        """A checkpoint is gone with its job. One that stays is in nobody's way: no job has that name any more."""
        for holding in holdings:
            if holding.checkpointed:
                with suppress(BrokerError):
                    await self._bucket.forget(f"checkpoint.{holding.origin}")
