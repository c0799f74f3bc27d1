"""What all jobs of this worker share: connections, made once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from reference_common.web import Fetcher

from .fetch import AGENT
from .records import Records
from .stores import Stores


@dataclass(frozen=True, slots=True)
class Context:
    """`job.context` of this worker."""

    stores: Stores
    records: Records
    fetcher: Fetcher


@asynccontextmanager
async def lifespan() -> AsyncIterator[Context]:
    """Nothing is dialled yet: a worker is ready when it can take jobs."""
    stores, fetcher = Stores(), Fetcher(AGENT)
    try:
        yield Context(stores, Records(stores), fetcher)
    finally:
        await fetcher.close()
        await stores.close()
