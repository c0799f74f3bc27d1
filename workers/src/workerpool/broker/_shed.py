"""Which jobs are not run but moved to the dead letters as somebody takes them. Pure.

One **expires** when it has not begun in the time that its producer gave it, counted from when it was enqueued, by the
broker's clock; a repeated attempt expires as well. One is **shed** when it has waited, since it became due, for longer
than its class of priority may: so under overload what is least important makes room, and what is late for everybody is
not worked off in vain. One that is taken over from a dead consumer, or was handed back by one that had begun it, has
cost something already: it may expire and is not shed.

Nobody looks through the queue for them. They are met where jobs are chosen, and cost no attempt and no limit.
SQLite (`_sqlite/shed.py`) and Redis (`_redis/lua/shed.lua`) make the same decisions.
"""

from collections.abc import Mapping
from typing import Final

from workerpool.broker._types import DeathReason, Taken

EXPIRED_TEXT: Final = "its time was over before it could begin"
SHED_TEXT: Final = "it waited longer than jobs of its priority may"
TEXTS: Final = {DeathReason.EXPIRED: EXPIRED_TEXT, DeathReason.SHED: SHED_TEXT}


def spoiled(job: Taken, after: Mapping[str, float]) -> DeathReason | None:
    """Why it is not to be run, None when it is. `after`: seconds by class of priority."""
    if job.expired:
        return DeathReason.EXPIRED
    if after and not job.redelivered and not job.begun and job.waited > after.get(job.priority, job.waited):
        return DeathReason.SHED
    return None
