"""What a rejected version gave up is found among the dead letters by its version, and done by the stable one."""

import pytest

from tests.component.sdk.running import environment, make_worker, serving
from tests.support.redis import RedisServer
from tests.support.waiting import until
from workerpool import Job, JobSpec, Queue
from workerpool.errors import RejectJob

pytestmark = [pytest.mark.component, pytest.mark.redis]


async def test_the_dead_letters_of_a_rejected_version_are_listed_and_redriven_to_the_stable_one(
    queue: Queue, redis_server: RedisServer, redis_stream: str
) -> None:
    """Those that the stable version gave up itself stay where they are."""
    done: list[object] = []
    canary = make_worker(environment(redis_server, redis_stream, WORKERPOOL_VERSION="51b0ffe3"))
    stable = make_worker(environment(redis_server, redis_stream, WORKERPOOL_VERSION="9c1d2e7a"))

    @canary.job("work")
    async def unreadable(job: Job) -> None:
        raise RejectJob("a payload of before")

    @stable.job("work")
    async def work(job: Job) -> None:
        if job.payload == "poison":
            raise RejectJob("poison")
        done.append(job.payload)

    await queue.enqueue_many([JobSpec("work", number) for number in range(3)])
    async with serving(canary):
        await until(lambda: _dead(queue, 3), what="the canary's dead letters")
    await queue.enqueue_many([JobSpec("work", "poison"), JobSpec("work", "good")])
    async with serving(stable):
        await until(lambda: _dead(queue, 4), what="the stable version's dead letter")
        listed = [letter for letter in await queue.dead_letters() if letter.version == "51b0ffe3"]
        assert [(letter.reason, letter.error) for letter in listed] == [
            ("rejected", "RejectJob: a payload of before")
        ] * 3
        assert await queue.redrive(version="51b0ffe3") == 3
        await until(lambda: sorted(map(str, done)) == ["0", "1", "2", "good"], what="each done by the stable version")
        assert [letter.version for letter in await queue.dead_letters()] == ["9c1d2e7a"]


async def _dead(queue: Queue, count: int) -> bool:
    return (await queue.depth()).dead_letters == count
