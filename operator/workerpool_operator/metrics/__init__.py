"""What the operator tells Prometheus about itself and about the pools that it leads."""

from workerpool_operator.metrics.operator import OperatorMetrics
from workerpool_operator.metrics.pools import (
    CanarySeries,
    Direction,
    PlaceSeries,
    PoolMetrics,
    PoolSeries,
    Prices,
    VersionRole,
)

__all__ = [
    "CanarySeries",
    "Direction",
    "OperatorMetrics",
    "PlaceSeries",
    "PoolMetrics",
    "PoolSeries",
    "Prices",
    "VersionRole",
]
