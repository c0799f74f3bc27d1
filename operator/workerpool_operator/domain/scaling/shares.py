"""What each worker may begin of the pool's rate limit, where the broker cannot keep count for all of them.

Each worker that is heard and not leaving is to have the same. What the limit protects counts more than speed: a share
is raised only by what nobody else may still be using. A worker may use the most that it was ordered since the order
that it reported last, however long ago: one that is not heard any more goes by its last share until its pod is gone.
So the sum over all is never above the limit, but for what nobody could know of: right after the limit was lowered, and
where the operator and the collector begin anew at the same moment.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import floor, log10
from typing import Final

from workerpool_operator.domain.scaling.workers import Report, Share

STRANGE_SECONDS: Final = 30.0
"""A ready worker that no one has heard may have a share from an earlier operator. For so long nobody is given more: its
stream comes back over 8 s, and by that it says. Later it counts as one that has an equal share."""
LOOK_SECONDS: Final = 5.0
_DIGITS: Final = 4
_STEP: Final = 0.5
"""Of an equal share: what a raise brings at least, unless it is the last one. So a worker is raised twice at most when
many others make room for it one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """What was ordered, and may be in force."""

    orders: Mapping[str, tuple[Share, ...]] = field(default_factory=dict)
    """Pod uid -> from the one that its worker has reported to the newest."""
    serial: int = 0
    """Of the newest order of all."""
    look_again: float | None = None
    """Seconds until more may be given, with nothing new heard."""

    @property
    def newest(self) -> Mapping[str, Share]:
        """Pod uid -> the order to be obeyed."""
        return {uid: orders[-1] for uid, orders in self.orders.items()}


def divide(
    before: Shares, reports: Iterable[Report], unheard: Mapping[str, float], *, rate: float | None, epoch: int
) -> Shares:
    """The shares from now on. None of `rate`: there is no limit.

    `unheard`: uid of each ready pod whose worker nobody hears -> for how many seconds already.
    """
    if rate is None:
        return replace(before, orders={}, look_again=None)
    workers = {report.uid: report for report in reports if report.fenceable and not report.draining}
    known = {uid: _in_force(before.orders.get(uid, ()), report.share) for uid, report in workers.items()}
    orders = {uid: shares for uid, shares in known.items() if shares}
    orders |= {uid: before.orders[uid] for uid in unheard.keys() & before.orders.keys() if uid not in orders}
    strangers = [seconds for uid, seconds in unheard.items() if uid not in orders]
    draft = _Draft(orders, epoch=epoch, serial=before.serial)
    heard = sorted(uid for uid, report in workers.items() if report.connected)
    staying = [uid for uid in heard if not (workers[uid].ending or workers[uid].fence)]
    for uid in set(heard).difference(staying):
        draft.order(uid, 0.0)
    lost = sum(draft.most(uid) for uid in orders.keys() - set(heard))
    equal = _floored((rate - lost) / (len(staying) + len(strangers))) if staying else 0.0
    calm = all(seconds >= STRANGE_SECONDS for seconds in strangers)
    draft.even_out(staying, equal=equal, most=rate - equal * len(strangers) if calm else 0.0)
    return Shares(orders=draft.orders, serial=draft.serial, look_again=None if calm else LOOK_SECONDS)


class _Draft:
    """The next orders, while they are made."""

    def __init__(self, orders: dict[str, tuple[Share, ...]], *, epoch: int, serial: int) -> None:
        self.orders = orders
        self.serial = serial
        self._epoch = epoch

    def most(self, uid: str) -> float:
        """Jobs per second that this worker may be beginning by any of its orders."""
        return max((share.per_second for share in self.orders.get(uid, ())), default=0.0)

    def order(self, uid: str, per_second: float) -> None:
        """So much from now on, unless that was the last word. A worker that was told nothing takes nothing."""
        known = self.orders.get(uid, ())
        if (known[-1].per_second if known else 0.0) == per_second:
            return
        self.serial += 1
        newest = Share(f"{self._epoch}.{self.serial}", per_second)
        self.orders[uid] = (max(known, key=lambda share: share.per_second), newest) if known else (newest,)

    def even_out(self, workers: Iterable[str], *, equal: float, most: float) -> None:
        """As much for each, as far as all that anybody may be using stays within `most`."""
        spare = most - sum(self.most(uid) for uid in self.orders)
        for uid in workers:
            used = self.most(uid)
            if used >= equal:
                self.order(uid, equal)
                continue
            given = equal if equal - used <= spare else _floored(used + spare)
            if given == equal or given - used >= _STEP * equal:
                self.order(uid, given)
                spare -= given - used


def _in_force(orders: tuple[Share, ...], reported: Share | None) -> tuple[Share, ...]:
    """From the one that it has reported on; that of an earlier leader comes before all."""
    if reported is None:
        return orders
    ids = [share.id for share in orders]
    return orders[ids.index(reported.id) :] if reported.id in ids else (reported, *orders)


def _floored(rate: float) -> float:
    """With four digits, and not more than it was; nothing for what is no rate."""
    if rate <= 0:
        return 0.0
    unit = 10.0 ** (_DIGITS - 1 - floor(log10(rate)))
    return floor(rate * unit) / unit
