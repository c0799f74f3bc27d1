"""The metric by which HPAs read the size that a pool needs."""

from typing import Final

METRIC: Final = "workerpool_desired_replicas"
METRIC_POOL_LABEL: Final = "pool"
