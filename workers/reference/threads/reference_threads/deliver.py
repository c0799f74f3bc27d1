"""Job type `deliver`: call a receiver (a webhook) with requests, which blocks.

A call cannot be made exactly once: when its answer is lost nobody knows whether it arrived. So it is made at least
once, always with the same `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header), which is made of the job's id
and by which a receiver that heeds it acts once. When it has answered, a receipt is stored, and a job that runs again
after that does not call.

Nobody can stop a thread, so every wait in it has a bound of its own. The longest one is that for a receiver that sends
its headers byte by byte: requests' read timeout begins anew with each byte. There the job's timeout counts: the lane
gives the thread up and takes another one.
"""

import json
import time
from typing import Any, Final

from reference_common.blobs import key_for, name_of
from reference_common.web import checked_url
from workerpool import Job, RejectJob

TIMEOUT_SECONDS: Final = 45.0
CONNECT_SECONDS: Final = 3.05
"""A little more than a multiple of 3, after which TCP repeats a packet (documentation of requests, "Timeouts")."""
READ_SECONDS: Final = 20.0
FOLDER: Final = "receipts"
_TEMPORARY: Final = frozenset({408, 425, 429})
_MAX_ANSWER: Final = 64 * 1024
_REDIRECT, _CLIENT_ERROR, _SERVER_ERROR = 300, 400, 500


class NotTakenError(Exception):
    """The receiver may take it later."""


def deliver(job: Job) -> None:
    """Post the payload's body, unless an attempt before has got its answer.

    Raises:
        RejectJob: the payload names no receiver, or it will never take this.
        NotTakenError, requests.RequestException: try later.
    """
    payload: dict[str, Any] = job.payload if isinstance(job.payload, dict) else {}
    url, blobs, receipt = checked_url(payload.get("url")), job.context.blobs, key_for(FOLDER, job, ".json")
    if blobs.has(receipt):
        return
    status = _post(job, url, payload.get("body"))
    blobs.put_new(receipt, json.dumps({"url": url, "status": status, "at": time.time()}).encode())


def _post(job: Job, url: str, body: Any) -> int:
    """The status that the receiver answers with."""
    with job.context.session.post(
        url,
        data=json.dumps(body).encode(),  # requests' own `json=` would send no body at all for null
        headers={"Content-Type": "application/json", "Idempotency-Key": name_of(job)},
        timeout=(CONNECT_SECONDS, READ_SECONDS),
        allow_redirects=False,
        stream=True,
    ) as answer:
        answer.raw.read(_MAX_ANSWER)  # a connection whose answer was read to its end serves the next job
        status: int = answer.status_code
    if status >= _SERVER_ERROR or status in _TEMPORARY:
        raise NotTakenError(f"{url} answers {status}")
    if status >= _REDIRECT:
        kind = "refuses it" if status >= _CLIENT_ERROR else "is elsewhere, and a call does not follow"
        raise RejectJob(f"{url} {kind}: {status}")
    return status
