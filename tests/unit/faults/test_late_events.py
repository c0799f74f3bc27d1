"""Events that come late, in virtual time (looptime): what a busy machine adds does not count."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import cast

import aiohttp
import pytest

from e2e.faults.inject.proxy import _late

pytestmark = pytest.mark.looptime


async def test_they_wait_together_not_one_after_the_other() -> None:
    async def lines() -> AsyncIterator[bytes]:
        for line in (b"1\n", b"2\n", b"3\n"):
            yield line

    answer = cast("aiohttp.ClientResponse", SimpleNamespace(content=lines()))
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert [line async for line in _late(answer, 0.2)] == [b"1\n", b"2\n", b"3\n"]
    assert loop.time() - began == pytest.approx(0.2)
