"""What is left of requests that were cut off: nothing."""

import asyncio
import gc
import warnings

import pytest

from workerpool_operator.kube import ClusterAccess, Kube, kinds

pytestmark = [pytest.mark.component, pytest.mark.apiserver]

REQUESTS = 20
MOMENTS_MS = (3, 5, 7, 8, 9, 10, 11, 12, 15, 20)
"""From the first byte of the TLS greeting to the answers, on most machines."""


async def test_no_connection_outlives_the_client(access: ClusterAccess) -> None:
    """Whatever it was about: its greeting, the request, or the answer."""
    for milliseconds in MOMENTS_MS:
        await asyncio.to_thread(asyncio.run, _cut_off(access, after_seconds=milliseconds / 1000))
    with warnings.catch_warnings(record=True) as left:
        warnings.simplefilter("always")
        gc.collect()
    assert [str(warning.message) for warning in left] == []


async def _cut_off(access: ClusterAccess, *, after_seconds: float) -> None:
    async with Kube(access) as kube:
        asking = [asyncio.create_task(kube.list(kinds.POD).all()) for _ in range(REQUESTS)]
        await asyncio.wait(asking, timeout=after_seconds)
        for each in asking:
            each.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
