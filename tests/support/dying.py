"""A server of a cluster dies under producers and consumers: the same play for every broker that has clusters."""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from tests.support.waiting import until
from workerpool.broker import Broker, NewJob, Taken
from workerpool.errors import BrokerError

_JOBS = 20
_IN_FLIGHT = 5


class Cast:
    """Who puts and who takes, each over connections that may end under it."""

    def __init__(self, producer: Broker, consumer: Broker) -> None:
        self._producer = producer
        self._consumer = consumer
        self.put: set[str] = set()
        """The ids of the jobs that are there for sure."""
        self.put_again = 0
        """Jobs that may be there twice, because a confirmation was lost: at least once is what is promised."""
        self.done: Counter[str] = Counter()
        """How often each was acknowledged as ours."""

    async def puts(self, jobs: int) -> None:
        """Until they are there."""
        batch = [NewJob(type="t", payload=b"1", job_id=f"job-{len(self.put) + number}") for number in range(jobs)]

        async def confirmed() -> bool:
            try:
                await self._producer.put(batch)
            except BrokerError:
                self.put_again += jobs
                return False
            return True

        await until(confirmed, what=f"a server that takes {jobs} jobs")
        self.put |= {job.job_id for job in batch}

    async def takes(self, jobs: int) -> list[Taken]:
        """So many, which are in flight from then on."""
        held: list[Taken] = []

        async def enough() -> bool:
            with suppress(BrokerError):  # servers that have just started may not have found each other yet
                held.extend(await self._consumer.take(limit=jobs - len(held), wait=0.2))
            return len(held) == jobs

        await until(enough, what=f"{jobs} jobs")
        return held

    async def settles(self, batch: Sequence[Taken]) -> None:
        """Those that are still ours are done.

        Raises:
            BrokerError: they may be, or come again.
        """
        lost = await self._consumer.ack(batch)
        self.done.update(job.job_id for job in batch if job.token not in lost)

    async def does_all(self, held: Sequence[Taken] = ()) -> None:
        """What is in flight first, and then whatever comes, until each that was put is done."""
        left = list(held)

        async def all_done() -> bool:
            try:
                await self.settles(left or await self._consumer.take(limit=10, wait=0.2))
            except BrokerError:
                return False
            left.clear()
            return self.put <= self.done.keys()

        await until(all_done, what="all jobs")

    async def finds_no_more(self) -> None:
        """What was put twice, or given out again, is done as well, and nothing is left."""

        async def none_left() -> bool:
            try:
                await self.settles(await self._consumer.take(limit=10, wait=0.1))
                return (await self._producer.depth()).unfinished == 0
            except BrokerError:
                return False

        await until(none_left, what="nothing left")


async def a_server_dies(cast: Cast, kill: Callable[[], Awaitable[None]]) -> None:
    """Jobs are put and some are taken, one server is killed, more jobs are put, and all of them are done."""
    await cast.puts(_JOBS)
    held = await cast.takes(_IN_FLIGHT)
    await kill()
    await cast.puts(_JOBS)
    await cast.puts(_JOBS)
    await cast.does_all(held)
