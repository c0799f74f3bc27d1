"""Who is stuck, by what workers and queues have said.

A queue in which jobs have waited all the time, a worker that had room and began none, and a peer that did begin jobs
and was full: that worker is stuck. Without a peer that began any (a single worker, or all of them at a loss) the same
is asked for twice the time, and nobody may have said why it takes nothing: where the broker is away, they do. Of
several queues, those do not count against a worker from which it says that it cannot take; and without a peer that
goes on, what one says of a queue holds for all.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from workerpool_operator.domain.stuck.evidence import Conduct, Waiting

ALONE_FACTOR: Final = 2.0
"""Without a peer to compare with, everything has to last so many times longer."""
RECHECK_SECONDS: Final = 5.0
"""While somebody is stuck, or could be for all but what others do, look again after this long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """Who is stuck (uids), and whether that shows by peers that go on."""

    stuck: frozenset[str] = frozenset()
    witnessed: bool = False
    waiting: int = 0
    """Jobs in the queues in which they have waited for long."""
    look_again: float | None = None
    """Seconds until somebody could be found stuck: words and readings that say the same as before make nobody look.
    None: not before something changes."""


def find(
    conducts: Mapping[str, Conduct], queues: Mapping[str, Waiting], *, one_queue: bool, after: float, now: float
) -> Findings:
    """Who is stuck now. `after` is the pool's limit in seconds; `one_queue`: its workers take from a single queue."""
    workers = {uid: one for uid, one in conducts.items() if one.fresh(now)}
    moving = [one for one in workers.values() if one.moved_at is not None and now - one.moved_at < after]
    if moving:
        witnessed = all(_is_witness(one, after=after, now=now) for one in moving)
        waited = {name: one for name, one in queues.items() if one_queue or _is_drawn(one, after, now)}
        limit = after
    else:
        witnessed = False
        barred = frozenset[str]().union(*(one.last.barred for one in workers.values()))
        waited = {name: one for name, one in queues.items() if name not in barred}
        limit = ALONE_FACTOR * after
    longest = max((one.seconds(now) for one in waited.values()), default=0.0)
    idlest = max((one.idle for one in workers.values()), default=0.0)
    overdue = {name for name, one in waited.items() if one.seconds(now) >= limit}
    stuck = frozenset(uid for uid, one in workers.items() if one.idle >= limit and overdue - one.last.barred)
    contradicted = not witnessed and (moving or any(one.last.paused for one in workers.values()))
    if contradicted or not stuck:
        possible = workers and any(one.since is not None for one in queues.values())
        again = max(RECHECK_SECONDS, after - min(longest, idlest))
        return Findings(look_again=again if possible else None)
    return Findings(
        stuck=stuck,
        witnessed=witnessed,
        waiting=sum(waited[name].last.waiting for name in overdue),
    )


def _is_witness(one: Conduct, *, after: float, now: float) -> bool:
    """Whether it took all it could of late. One with room to spare left the waiting jobs alone as well."""
    since = now - after
    had_no_room = one.full_at is not None and one.full_at > since
    return had_no_room and (one.rested_at is None or one.rested_at <= since)


def _is_drawn(one: Waiting, after: float, now: float) -> bool:
    """Whether the jobs of this very queue can be had. Of several queues only one may be at fault, for everybody."""
    return one.drawn_at is not None and now - one.drawn_at < after
