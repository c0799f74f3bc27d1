"""When a process has done enough: after so many jobs, or when it has grown so large."""

import random
from typing import NamedTuple


class Recycle(NamedTuple):
    """None: never."""

    after_jobs: int | None = None
    rss_bytes: int | None = None

    def spread(self) -> "Recycle":
        """The same, up to a tenth earlier: processes that began together must not end together."""
        factor = random.uniform(0.9, 1.0)  # noqa: S311
        return Recycle(
            after_jobs=None if self.after_jobs is None else max(1, round(factor * self.after_jobs)),
            rss_bytes=None if self.rss_bytes is None else round(factor * self.rss_bytes),
        )

    def due(self, *, jobs: int, resident_bytes: int) -> str:
        """Why the process is to be replaced; empty: it is not."""
        if self.after_jobs is not None and jobs >= self.after_jobs:
            return f"it has run {jobs} jobs"
        if self.rss_bytes is not None and resident_bytes > self.rss_bytes:
            return f"its memory has grown to {resident_bytes} bytes"
        return ""
