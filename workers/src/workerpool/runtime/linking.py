"""When a worker loads what it takes to talk to its collector, and the stream to it.

That takes longer than everything else together, and jobs need not wait for it. Nor should neighbours: when a pool
wakes, many workers start at once, and on few cores the first ones would hold up the others.
"""

import asyncio
import random
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from workerpool._own_thread import in_own_thread
from workerpool.runtime.contract import Contract
from workerpool.runtime.live import Orders

if TYPE_CHECKING:
    from workerpool.runtime.collector import CollectorLink
    from workerpool.runtime.state import State

AFTER_SECONDS: Final = (2.0, 4.0)
"""Bounds of the random wait before the collector is dialled for the first time."""


async def collector_module(log: Any) -> Any:
    """`workerpool.runtime.collector`, in a while. A worker that cannot load it works on, and tries again."""
    while True:
        await asyncio.sleep(random.uniform(*AFTER_SECONDS))  # noqa: S311
        try:
            return await in_own_thread(import_module, "workerpool.runtime.collector")
        except Exception as error:  # noqa: BLE001  there is no thread for it, or a file is gone
            log.error("no stream to the collector can be had yet", error=f"{type(error).__name__}: {error}")  # noqa: TRY400


async def make_link(
    contract: Contract,
    *,
    boot_id: str,
    slots: int,
    state: Callable[[], "State"],
    obey: Callable[[Orders], None],
    token_file: str,
    log: Any,
) -> "CollectorLink":
    """The stream to the contract's collector, which is yet to be run; in a while, as its library is loaded then."""
    module = await collector_module(log)
    link: CollectorLink = module.CollectorLink(
        contract.collector,
        identity=module.Identity(
            pool=contract.pool, pod=contract.pod, version=contract.version, slots=slots, boot_id=boot_id
        ),
        state=state,
        obey=obey,
        period=contract.heartbeat_seconds,
        log=log,
        token_file=token_file,
    )
    return link
