"""What is left of requests that were cut off: nothing."""

import asyncio
import gc
import warnings
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import aiohttp
import pytest

from workerpool_operator.kube import ClusterAccess, Kube, kinds

pytestmark = [pytest.mark.component, pytest.mark.apiserver]

REQUESTS = 20
MOMENTS_MS = (3, 5, 7, 8, 9, 10, 11, 12, 15, 20, 100)
"""From the first byte of the TLS greeting to the answers, on most machines."""


Asking = Callable[[ClusterAccess, float], Coroutine[Any, Any, None]]


async def _requests(access: ClusterAccess, seconds: float) -> None:
    async with Kube(access) as kube:
        await _cut_off([kube.list(kinds.POD).all() for _ in range(REQUESTS)], seconds)


async def _watches(access: ClusterAccess, seconds: float) -> None:
    async with access.watch_session() as session:
        await _cut_off([_follow(session, access) for _ in range(REQUESTS)], seconds)


async def _follow(session: aiohttp.ClientSession, access: ClusterAccess) -> None:
    async with session.get(f"{access.server}/api/v1/pods", params={"watch": "true"}) as answer:
        answer.raise_for_status()
        await answer.read()


async def _cut_off(asking: Sequence[Coroutine[Any, Any, object]], seconds: float) -> None:
    tasks = [asyncio.create_task(each) for each in asking]
    await asyncio.wait(tasks, timeout=seconds)
    for task in tasks:
        task.cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert not [each for each in ended if isinstance(each, Exception)]


@pytest.mark.parametrize("asking", [_requests, _watches])
async def test_no_connection_outlives_the_client(access: ClusterAccess, asking: Asking) -> None:
    """Whatever it was about: its greeting, the request, or the answer."""
    for milliseconds in MOMENTS_MS:
        await asyncio.to_thread(asyncio.run, asking(access, milliseconds / 1000))
    with warnings.catch_warnings(record=True) as left:
        warnings.simplefilter("always")
        gc.collect()
    assert [str(warning.message) for warning in left] == []
