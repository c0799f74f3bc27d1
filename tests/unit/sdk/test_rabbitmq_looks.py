"""A look at RabbitMQ's dead letters, without a broker."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import cast

import pytest
from pamqp import commands

from workerpool.broker._rabbitmq import dead
from workerpool.broker._rabbitmq.dead import _Look
from workerpool.broker._rabbitmq.link import RabbitLink
from workerpool.broker._rabbitmq.messages import Delivery


class Link:
    @asynccontextmanager
    async def calling(self) -> AsyncIterator[SimpleNamespace]:
        yield SimpleNamespace(check=lambda: None)


async def test_a_letter_that_comes_in_the_turn_in_which_patience_ends_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that stood still hears of both at once."""
    monkeypatch.setattr(dead, "_SILENCE_SECONDS", 0.01)
    look = _Look(cast("RabbitLink", Link()), "dead")
    look._coming = 1
    coming = asyncio.create_task(look.next())
    await asyncio.sleep(0)
    time.sleep(0.05)  # noqa: ASYNC251  the loop stands still
    letter = Delivery("look", 1, redelivered=False, properties=commands.Basic.Properties(), body=b"")
    asyncio.get_running_loop().call_soon(look._deliver, letter)
    assert await coming == letter
