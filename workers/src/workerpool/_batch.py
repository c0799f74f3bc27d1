"""How the jobs of a handler are gathered that does several of them in one call."""

import math
from dataclasses import dataclass
from typing import Final

from workerpool.errors import ConfigurationError

LONGEST_WAIT_SECONDS: Final = 10.0
"""A worker that is about to be stopped waits for the batch that it gathers."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Gives a handler a list of jobs: for jobs that take less than it costs to run one, and for bulk calls.

    A batch begins when it is full, when its oldest job has waited long enough, or when the worker has no room for
    another job. Each of its jobs takes a slot of the worker, so no batch is larger than `MAX_WORKERS`.

    Args:
        size: Jobs in a batch at most.
        wait: Seconds that a job waits for others at most; 0: for none but those that were taken with it.
    """

    size: int = 100
    wait: float = 0.05

    def __post_init__(self) -> None:
        """Refuse what gathers nothing, or for too long."""
        if self.size < 1 or not 0 <= self.wait <= LONGEST_WAIT_SECONDS or math.isnan(self.wait):
            raise ConfigurationError(f"a batch needs size >= 1 and a wait of 0 to {LONGEST_WAIT_SECONDS:g} seconds")
