"""A process of the cpu lane whose job is cancelled ends by itself: it does not wait to be killed."""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.component.sdk.lanes import cancelled_handlers
from tests.support.waiting import until
from workerpool import Job
from workerpool.runtime.lanes import process
from workerpool.runtime.lanes.address import address_of
from workerpool.runtime.lanes.cpu import _plain
from workerpool.runtime.lanes.process import ChildProcess

pytestmark = pytest.mark.component
TRACE = {"traceparent": f"00-{'1' * 32}-{'2' * 16}-01"}


async def unheard(*_question: Any) -> None:
    """What the worker answers while it listens."""


@pytest.mark.parametrize(
    "handler",
    [
        cancelled_handlers.begin,
        cancelled_handlers.with_a_span,
        cancelled_handlers.with_a_last_word,
        cancelled_handlers.that_goes_on,
    ],
    ids=lambda handler: handler.__name__,
)
async def test_it_ends_by_itself(
    handler: Callable[[Job], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It used to ask the worker, who does not listen any more, for a second in which the slot was taken."""
    monkeypatch.setattr(process, "HEED_SECONDS", 30.0)  # however busy the machine
    address, begun = address_of(handler), tmp_path / "begun"
    child = ChildProcess(log={"pool": "p", "version": "v", "worker": "w"})
    await child.load(address)
    job = Job("j", "t", str(begun), 1, "main")
    running = asyncio.create_task(child.run(("run", tuple(address), _plain(job), {}, TRACE), unheard))
    await until(begun.exists, what="the handler begun")
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    await child.cancel()
    assert await child._exited == 0
    await child.gone()
