"""A pool's rate limit, divided among its workers where their broker cannot count for all of them."""

from workerpool_operator.domain.rules import by_shares, rate_of
from workerpool_operator.domain.scaling import Shares, divide
from workerpool_operator.domain.snapshot import Snapshot


def shares_of(snapshot: Snapshot) -> Shares:
    """What each worker is to begin from now on. While no collector is heard, nothing is known, and all stays."""
    before = snapshot.memory.shares
    if not snapshot.collectors:
        return before
    return divide(
        before,
        snapshot.reports.values(),
        snapshot.unheard,
        rate=rate_of(snapshot.pool, wall=snapshot.wall_time) if by_shares(snapshot.pool) else None,
        epoch=snapshot.memory.scale_in.epoch,
    )
