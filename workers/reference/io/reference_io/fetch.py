"""Job type `fetch`: get a page, politely, and keep what was found.

A job may run twice (its worker died before the acknowledgement): the result is kept under the job's id, the first one
wins, and a job whose result is there does nothing. Temporary trouble fails the attempt, so it is retried with backoff;
what no attempt can change is rejected.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Final

from reference_common.web import Download, checked_url
from workerpool import Job

TIMEOUT_SECONDS: Final = 30.0
AGENT: Final = "workerpool-reference-io"
RESULT_SECONDS: Final = 24 * 3600
"""How long a result is kept, and so how long a repeated job is recognised."""


@dataclass(frozen=True, slots=True)
class Page:
    """What is kept of a page."""

    url: str
    """Where it was found in the end."""
    status: int
    bytes: int
    sha256: str
    seconds: float

    @classmethod
    def of(cls, found: Download) -> "Page":
        """All but its text."""
        digest = hashlib.sha256(found.body).hexdigest()
        return cls(found.url, found.status, len(found.body), digest, found.seconds)


async def fetch(job: Job) -> None:
    """Fetch the page that the payload names, and keep the result under the job's id."""
    url = checked_url(job.payload.get("url") if isinstance(job.payload, dict) else None)
    redis = job.context.stores.of(job)
    key = redis.key(f"result:{job.id}")
    if await redis.call("EXISTS", key):
        return
    page = Page.of(await job.context.fetcher.download(url))
    await redis.call("SET", key, json.dumps(asdict(page)), "NX", "EX", RESULT_SECONDS)
