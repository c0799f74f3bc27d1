"""Messages as they lie in a stream, by the stream's own API: what it answers is of now, not of a replica that lags."""

import base64
import binascii
import json
from typing import Any, NamedTuple

from nats.aio.client import Client

from workerpool.broker._nats.answers import MESSAGE_NOT_FOUND, STREAM_NOT_FOUND, ApiError
from workerpool.broker._nats.link import NatsLink
from workerpool.broker._nats.wire import parse_time
from workerpool.errors import BadAnswer, QueueNotFound

_FIRST_LINE = b"NATS/1.0\r\n"


class Stored(NamedTuple):
    """A message."""

    sequence: int
    subject: str
    headers: dict[str, str]
    payload: bytes
    stored_at: float
    """Unix seconds by the server's clock."""


async def get(link: NatsLink, stream: str, **which: Any) -> Stored | None:
    """A message: `seq`, `last_by_subj`, or `next_by_subj` from a `seq` on. None: there is no such one.

    Raises:
        QueueNotFound: there is no such stream.
        BrokerError: another of its kinds.
    """
    try:
        answer = await link.api(f"STREAM.MSG.GET.{stream}", which)
    except ApiError as error:
        if error.code == MESSAGE_NOT_FOUND:
            return None
        if error.code == STREAM_NOT_FOUND:
            raise QueueNotFound(f"there is no stream {stream}") from error
        raise
    try:
        message = answer["message"]
        raw = base64.b64decode(message.get("hdrs", ""))
        return Stored(
            sequence=int(message["seq"]),
            subject=str(message["subject"]),
            headers=Client._parse_header_lines(raw.removeprefix(_FIRST_LINE)),  # noqa: SLF001  not offered otherwise
            payload=base64.b64decode(message.get("data", "")),
            stored_at=parse_time(message.get("time")),
        )
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise BadAnswer("a message of the stream cannot be read") from error


async def delete(link: NatsLink, stream: str, sequence: int) -> bool:
    """Delete a message; whether it was there."""
    try:
        await link.api(f"STREAM.MSG.DELETE.{stream}", {"seq": sequence, "no_erase": True})
    except ApiError as error:
        if error.code == MESSAGE_NOT_FOUND or "no message" in str(error) or "not found" in str(error):
            return False
        raise
    return True


async def purge(link: NatsLink, stream: str, subject: str, *, below: int | None = None) -> int:
    """Delete all messages of a subject, or those with sequences below this; return how many."""
    body = {"filter": subject} | ({} if below is None else {"seq": below})
    answer = await link.api(f"STREAM.PURGE.{stream}", body)
    return int(answer.get("purged", 0))


def pub_ack(data: bytes) -> dict[str, Any]:
    """What a stream answers to a message.

    Raises:
        BrokerError: it did not take it.
    """
    try:
        answer = json.loads(data)
    except ValueError as error:
        raise BadAnswer("a stream's answer is no JSON") from error
    if not isinstance(answer, dict):
        raise BadAnswer("a stream's answer is no JSON object")
    if "error" in answer:
        raise ApiError.of(answer["error"])
    return answer
