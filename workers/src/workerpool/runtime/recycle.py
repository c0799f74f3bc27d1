"""When a process has done enough: after so many jobs, or when it has grown so large."""

from typing import NamedTuple


class Recycle(NamedTuple):
    """None: never."""

    after_jobs: int | None = None
    rss_bytes: int | None = None

    def due(self, *, jobs: int, resident_bytes: int) -> str:
        """Why the process is to be replaced; empty: it is not."""
        if self.after_jobs is not None and jobs >= self.after_jobs:
            return f"it has run {jobs} jobs"
        if self.rss_bytes is not None and resident_bytes > self.rss_bytes:
            return f"its memory has grown to {resident_bytes} bytes"
        return ""
