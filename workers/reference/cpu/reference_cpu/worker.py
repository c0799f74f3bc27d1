"""The worker: its handler, and when its processes are replaced."""

from typing import Final

from reference_common.blobs import open_blobs
from workerpool import Worker

from .thumbnail import TIMEOUT_SECONDS, thumbnail

CHILD_RSS_BYTES: Final = 192 * 1024 * 1024
"""An allocator that keeps what one large picture took does not keep it for ever."""
CHILD_JOBS: Final = 1000

open_blobs()  # one that names no store is told so at the start, not by each job

worker = Worker(recycle_children_after_jobs=CHILD_JOBS, recycle_children_rss_bytes=CHILD_RSS_BYTES)
worker.job("thumbnail", timeout=TIMEOUT_SECONDS, kind="cpu")(thumbnail)
