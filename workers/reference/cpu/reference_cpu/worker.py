"""The worker: its handler, when its processes are replaced, and what it does while the store is away."""

from typing import Final

from reference_common.blobs import open_blobs
from workerpool import Breaker, Worker

from .thumbnail import TIMEOUT_SECONDS, thumbnail

CHILD_RSS_BYTES: Final = 192 * 1024 * 1024
"""An allocator that keeps what one large picture took does not keep it for ever."""
CHILD_JOBS: Final = 1000

open_blobs()  # one that names no store is told so at the start, not by each job

worker = Worker(recycle_children_after_jobs=CHILD_JOBS, recycle_children_rss_bytes=CHILD_RSS_BYTES)
# All that its jobs call is one store: while that is away they wait in the queue, and lose no attempts.
worker.job("thumbnail", timeout=TIMEOUT_SECONDS, kind="cpu", breaker=Breaker(name="store"))(thumbnail)
