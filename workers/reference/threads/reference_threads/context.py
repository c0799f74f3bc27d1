"""What all jobs of this worker share; their threads come and go, so nothing here may belong to one of them."""

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from reference_common.blobs import Blobs, open_blobs

if TYPE_CHECKING:
    import requests

AGENT: Final = "workerpool-reference-threads"


class Context:
    """`job.context` of this worker."""

    def __init__(self, blobs: Blobs) -> None:
        self.blobs = blobs
        self._threads = threading.local()

    @property
    def session(self) -> "requests.Session":
        """The calling thread's own, with its connections: requests promises nothing to threads that share one."""
        if not hasattr(self._threads, "session"):
            self._threads.session = _new_session()
        session: requests.Session = self._threads.session
        return session


def _new_session() -> "requests.Session":
    import requests  # noqa: PLC0415  takes longer to import than all the rest: not before the worker is ready

    session = requests.Session()
    session.headers["User-Agent"] = AGENT
    return session


@asynccontextmanager
async def lifespan() -> AsyncIterator[Context]:
    """Nothing is dialled yet. Sessions close their connections when their threads end."""
    blobs = open_blobs()
    try:
        yield Context(blobs)
    finally:
        blobs.close()
