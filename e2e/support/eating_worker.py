"""A worker without the SDK that takes jobs and forgets them: it neither does nor acknowledges a first attempt.

In a pod it is mounted into the image of the reference worker on the bare contract, whose program it changes.
"""

import sys
from typing import Any

sys.path.insert(0, "/app")
bare: Any = __import__("worker")


class Eater(bare.Worker):  # type: ignore[misc]
    """What it forgets comes back by its lease; it does that itself, if it is the one to get it."""

    def _attempt(self, entry: str, fields: dict[str, bytes], attempt: int) -> None:
        self.metrics.started.inc()
        if attempt == 1:
            self.metrics.first.inc()
            return
        self._redis.xadd(f"{bare.BESIDE}:user:results", {"job": fields["id"], "version": bare.VERSION})
        if self._redis.eval(bare.ACK, 1, bare.STREAM, bare.GROUP, bare.CONSUMER, entry):
            self.metrics.processed.inc()


if __name__ == "__main__":
    bare.Worker = Eater
    bare.main()
