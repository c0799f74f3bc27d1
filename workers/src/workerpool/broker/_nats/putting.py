"""Putting jobs."""

import os
from collections.abc import Sequence
from typing import Final

from workerpool.broker._nats import stored
from workerpool.broker._nats.answers import IN_DOUBT, WRONG_LAST_ID, ApiError, NoRespondersError
from workerpool.broker._nats.link import NatsLink, Request
from workerpool.broker._nats.names import Names
from workerpool.broker._nats.wire import Headers, headers_of, scheduled
from workerpool.broker._types import NewJob
from workerpool.errors import BrokerUnavailable

CHUNK: Final = 500
_CHUNK_BYTES: Final = 4 * 1024 * 1024
_NO_SUCH_ID: Final = {"Nats-Expected-Last-Msg-Id": "nothing-has-this-id"}


async def put(link: NatsLink, names: Names, jobs: Sequence[NewJob]) -> None:
    """Put all of these, in their order.

    Raises:
        NoRespondersError: there is no such stream, or it has no leader; nothing of the first chunk was put.
        BrokerError: another of its kinds.
    """
    chunk: list[Request] = []
    size = 0
    for job in jobs:
        if len(chunk) == CHUNK or (chunk and size + len(job.payload) > _CHUNK_BYTES):
            await _send(link, chunk)
            chunk, size = [], 0
        chunk.append(_request(link, names, job))
        size += len(job.payload)
    if chunk:
        await _send(link, chunk)


async def is_duplicate(link: NatsLink, names: Names, job: NewJob) -> bool:
    """Whether it would be dropped, without putting it: ids are looked at before a condition that cannot hold."""
    if not job.job_id:
        return False
    request = _request(link, names, job)
    try:
        await _send(link, [request._replace(headers={**(request.headers or {}), **_NO_SUCH_ID})])
    except ApiError as error:
        if error.code == WRONG_LAST_ID:
            return False
        raise
    return True


def _request(link: NatsLink, names: Names, job: NewJob) -> Request:
    headers: Headers = headers_of(job, now=link.now())
    if job.delay <= 0:
        return Request(names.jobs, job.payload, headers)
    due = scheduled(headers, target=names.jobs, at=link.now() + job.delay)
    return Request(f"{names.later}{os.urandom(12).hex()}", job.payload, due)


async def _send(link: NatsLink, requests: Sequence[Request]) -> None:
    try:
        for answer in await link.ask(requests):
            stored.pub_ack(answer.data)
    except NoRespondersError:
        raise
    except ApiError as error:
        if error.code == IN_DOUBT:
            raise BrokerUnavailable(str(error)) from error
        raise
