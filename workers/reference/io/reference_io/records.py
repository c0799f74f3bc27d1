"""Tells on a stream beside the queue when a job starts and how it ends: what load generators and tests count by.

The stream of queue `S` is `{S}:user:results`, on the same Redis. Each entry has the fields `event` (`start`, `finish`
or `fail`), `job`, `attempt`, `pod` and `node`; its id is the time, by the clock of Redis.
"""

import os
from collections.abc import Mapping
from typing import Final

from workerpool import Job

from .stores import Stores

MAX_RECORDS: Final = 1_000_000
"""Older ones are trimmed, so a forgotten load does not fill the broker."""


class Records:
    """Writes the records of this worker."""

    def __init__(self, stores: Stores, *, env: Mapping[str, str] = os.environ) -> None:
        self._stores = stores
        self._who = ("pod", env.get("WORKERPOOL_POD", ""), "node", env.get("WORKERPOOL_NODE", ""))

    async def tell(self, event: str, job: Job) -> None:
        """Write one record. An error fails the job: a record that is missing in silence would look like a lost job.

        Raises:
            BrokerError: Redis did not take it.
        """
        redis = self._stores.of(job)
        fields = ("event", event, "job", job.id, "attempt", job.attempt, *self._who)
        await redis.call("XADD", redis.key("results"), "MAXLEN", "~", MAX_RECORDS, "*", *fields)
