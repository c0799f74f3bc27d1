"""How a total is split over a pool's Deployments while one version takes over from another."""

from workerpool_operator.domain.rollout.counts import SURGE, Counts, Slot, move_counts

__all__ = ["SURGE", "Counts", "Slot", "move_counts"]
