"""Tells beside the queue when a job starts and how it ends: what load generators and tests count by.

In Redis it is a stream: that of queue `S` is `{S}:user:results`, and its ids are the time, by the clock of Redis. In
any other broker it is a queue: that beside `S` is `S-results`, each record is the payload of a job of type `record`,
and its field `at` is the time in unix seconds, by this worker's clock.

Each record has the fields `event` (`start`, `finish` or `fail`), `job`, `attempt`, `pod` and `node`.
"""

import os
import time
from collections.abc import Mapping
from typing import Final

from workerpool import Job

from .stores import Stores

MAX_RECORDS: Final = 1_000_000
"""Older ones are trimmed, so a forgotten load does not fill the broker. A queue keeps all until they are read."""


class Records:
    """Writes the records of this worker."""

    def __init__(self, stores: Stores, *, env: Mapping[str, str] = os.environ) -> None:
        self._stores = stores
        self._who = {"pod": env.get("WORKERPOOL_POD", ""), "node": env.get("WORKERPOOL_NODE", "")}

    async def tell(self, event: str, job: Job) -> None:
        """Write one record. An error fails the job: a record that is missing in silence would look like a lost job.

        Raises:
            BrokerError: the broker did not take it.
        """
        record = {"event": event, "job": job.id, "attempt": job.attempt, **self._who}
        if self._stores.in_redis(job):
            redis = self._stores.of(job)
            fields = (part for field in record.items() for part in field)
            await redis.call("XADD", redis.key("results"), "MAXLEN", "~", MAX_RECORDS, "*", *fields)
            return
        at = time.time()  # before the first call, which dials
        # The id lets a broker that drops duplicates be asked again, and the reader know what it has read.
        await self._stores.results_of(job).enqueue("record", {**record, "at": at}, job_id=os.urandom(12).hex())
