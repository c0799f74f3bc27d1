"""What SAQ's sweep puts back, by the lists and keys that it reads."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from workerpool.adapters.saq_sweep import Sweep, look_twice

LOCK, AT_WORK = "saq:default:sweep", "saq:default:active"


@dataclass
class Redis:
    """Its keys, and what happens between two looks at them."""

    contents: dict[bytes, bytes | None]
    between: Callable[["Redis"], None] = lambda _: None
    at_work: list[bytes] = field(default_factory=list)
    locked: bool = False
    looks: int = 0

    def __post_init__(self) -> None:
        self.at_work = list(self.contents)

    async def set(self, _key: str, _value: int, *, ex: int, nx: bool) -> bool:
        assert (ex, nx) == (60, True)
        taken, self.locked = not self.locked, True
        return taken

    async def lrange(self, key: str, first: int, last: int) -> list[bytes]:
        assert (key, first, last) == (AT_WORK, 0, -1)
        if self.looks:
            self.between(self)
        self.looks += 1
        return list(self.at_work)

    async def mget(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return [self.contents[key] for key in keys]


class Queue:
    """Contents are a status, and `stuck` behind it."""

    def __init__(self) -> None:
        self._cleanup_script: Any = None

    def deserialize(self, content: bytes | None) -> Any:
        if content is None:
            return None
        status, _, stuck = content.decode().partition(" ")
        return SimpleNamespace(status=SimpleNamespace(value=status), stuck=bool(stuck))


async def swept(redis: Redis, *, over: asyncio.Event | None = None) -> dict[bytes, bytes | None]:
    sweep = Sweep(Queue(), over or asyncio.Event(), seconds=0)
    return dict(await sweep(keys=[LOCK, AT_WORK], args=[60], client=redis))


async def test_a_job_that_is_marked_as_active_in_between_was_being_taken() -> None:
    def marked(redis: Redis) -> None:
        redis.contents[b"taken"] = b"active"

    assert not await swept(Redis({b"taken": b"queued", b"runs": b"active"}, marked))


async def test_a_job_that_has_ended_in_between_is_nobodys() -> None:
    assert not await swept(Redis({b"taken": b"queued"}, lambda redis: redis.at_work.clear()))


async def test_a_job_that_comes_in_between_waits_for_the_next_sweep() -> None:
    def comes(redis: Redis) -> None:
        redis.contents[b"comes"] = b"queued"
        redis.at_work = list(redis.contents)

    assert list(await swept(Redis({b"lost": b"queued"}, comes))) == [b"lost"]


async def test_what_nobody_has_changed_is_put_back() -> None:
    """Taken by a worker that died, at work for longer than its timeout, or without any content."""
    lost: dict[bytes, bytes | None] = {b"taken": b"queued", b"stuck": b"active stuck", b"gone": None}
    assert await swept(Redis({**lost, b"runs": b"active"})) == lost


async def test_one_worker_sweeps_at_a_time() -> None:
    redis = Redis({b"lost": b"queued"}, locked=True)
    assert not await swept(redis)
    assert not redis.looks


async def test_a_worker_that_drains_puts_nothing_back() -> None:
    """Nor does its drain wait for the second look."""
    redis, over = Redis({b"lost": b"queued"}), asyncio.Event()
    over.set()
    sweep = Sweep(Queue(), over, seconds=3600)
    assert not await sweep(keys=[LOCK, AT_WORK], args=[60], client=redis)
    assert redis.looks == 1


async def test_it_stands_where_saq_has_its_script() -> None:
    queue = Queue()
    assert look_twice(queue, asyncio.Event())
    assert isinstance(queue._cleanup_script, Sweep)
    assert not look_twice(SimpleNamespace(), asyncio.Event())
